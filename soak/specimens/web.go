package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/specimens/web"
)

func newWebCmd() *cobra.Command {
	var cfg web.Config
	var name, listen string
	cmd := &cobra.Command{
		Use:     "web",
		Short:   "Serve an HTTP service with one known memory fault",
		Example: `  specimens web --specimen web-leak-request --listen 127.0.0.1:6060 --upstream http://127.0.0.1:7000`,
		Args:    command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := web.Find(name)
			if err != nil {
				return exitcode.Usage(err)
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "service %s listens on http://%s\n", name, l.Addr())
			return s.Serve(c.Context(), l, cfg)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "specimen", "ok-web-plain", "the fault")
	f.StringVar(&listen, "listen", "127.0.0.1:0", "address of the service")
	f.StringVar(&cfg.Upstream, "upstream", "", "base URL of the service that it calls")
	f.IntVar(&cfg.Workers, "workers", 8, "calls of the upstream at once, for the services that bound them")
	return cmd
}
