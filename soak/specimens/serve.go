package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/specimens/all"
	"github.com/memsoak/memsoak/soak/specimens/contract"
	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/leaks"
)

func newServeCmd() *cobra.Command {
	cfg := copier.DefaultConfig()
	var name, listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the subject contract: /healthz, /metrics, /debug/pprof, POST /v1/waves",
		Example: `  specimens serve --specimen leak-map --listen 127.0.0.1:6060 \
    --drive-endpoint http://127.0.0.1:7000 --s3-endpoint http://127.0.0.1:9000 --bucket copies --workers 8
  specimens serve --specimen leak-map+file-readall ...    # two faults at once`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			set := all.Specimens()
			if p, ok := leaks.Plant(name); ok {
				set.Add(p)
			}
			e, err := set.New(name, cfg)
			if err != nil {
				return exitcode.Usage(err)
			}
			defer e.Close()
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "specimen %s listens on http://%s\n", name, l.Addr())
			return contract.Serve(c.Context(), l, contract.Handler(e))
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "specimen", all.Plain, "the fault, or two joined by +; 'specimens list' names them")
	f.StringVar(&listen, "listen", "127.0.0.1:0", "address of the control server")
	f.StringVar(&cfg.Drive, "drive-endpoint", "", "base URL of the Drive (required)")
	f.StringVar(&cfg.S3, "s3-endpoint", "", "base URL of the S3 service (required)")
	f.StringVar(&cfg.Bucket, "bucket", "", "bucket to copy into (required)")
	f.IntVar(&cfg.Workers, "workers", cfg.Workers, "transfers at once")
	f.IntVar(&cfg.Discovery, "discovery-workers", cfg.Discovery, "listings at once")
	f.IntVar(&cfg.MaxIdle, "max-idle-conns", cfg.MaxIdle, "idle connections kept, in total; 0: no limit")
	f.IntVar(&cfg.MaxIdlePerHost, "max-idle-conns-per-host", cfg.MaxIdlePerHost,
		"idle connections kept per host; 0: net/http's default of 2")
	f.StringVar(&cfg.CAFile, "ca-file", "", "PEM of a CA to trust")
	f.StringVar(&cfg.TempDir, "temp-dir", "", "directory of spools; default: the system's")
	return cmd
}
