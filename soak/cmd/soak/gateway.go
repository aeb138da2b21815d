package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/internal/gateway"
)

// newGatewayCmd is `soak gateway`, the gates around a service as a process of their own.
func newGatewayCmd() *cobra.Command {
	return command.Group("gateway", "The gates around a service: proxies that count, hold and fail what passes",
		newGatewayServeCmd())
}

func newGatewayServeCmd() *cobra.Command {
	var config, addrFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve gates until interrupted",
		Long: `Serve gates until interrupted. Each listens on a free port of loopback and passes on to its one target, or
makes the replies itself. The control protocol of the fakes is served on a port of its own, below the name of each
gate.

The addresses are written to --addr-file as JSON, or printed.`,
		Example: `  echo '{"gates": [{"name": "api", "target": "http://127.0.0.1:8080"}]}' > gates.json
  soak gateway serve --config gates.json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return serveGateway(c, config, addrFile) },
	}
	cmd.Flags().StringVar(&config, "config", "", "`file` with the gates, JSON")
	cmd.Flags().StringVar(&addrFile, "addr-file", "", "write the addresses to this `file` (JSON) once the gates listen")
	return cmd
}

func serveGateway(cmd *cobra.Command, config, addrFile string) error {
	if config == "" {
		return exitcode.Usage(errors.New("--config is missing: the file with the gates"))
	}
	b, err := os.ReadFile(config)
	if err != nil {
		return exitcode.Usage(err)
	}
	var c gateway.Config
	if err := json.Unmarshal(b, &c); err != nil {
		return exitcode.Usage(fmt.Errorf("%s: %w", config, err))
	}
	if addrFile != "" {
		c.Token = fault.NewToken()
	}
	s, err := gateway.Start(c)
	if errors.Is(err, gateway.ErrConfig) {
		return exitcode.Usage(err)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	a := s.Addresses()
	a.PID = os.Getpid()
	if addrFile != "" {
		err = a.WithToken(c.Token).WriteFile(addrFile)
	} else {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(a)
	}
	if err != nil {
		return err
	}
	<-cmd.Context().Done()
	return nil
}
