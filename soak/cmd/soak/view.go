package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/internal/view"
)

func newViewCmd() *cobra.Command {
	var listen string
	var asJSON, published bool
	cmd := &cobra.Command{
		Use:   "view RUN...",
		Short: "Browse runs: reports, flame graphs, differences",
		Long: `Serve runs to a browser on this machine until interrupted: an index, the report of each run, live while it goes
on, and google/pprof's own web interface for every snapshot and for the difference of any two.

RUN is a run's directory, a folder of runs, or a folder of plain profiles of any names. Only loopback addresses are
served, and only loopback names are answered.`,
		Example: `  soak view soak-results
  soak view soak-results/latest --listen 127.0.0.1:6070`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			for i := range args {
				run, clean, err := asRun(cmd.Context(), args[i])
				if err != nil {
					return err
				}
				defer clean()
				args[i] = run
			}
			srv, err := view.New(args)
			if err != nil {
				return exitcode.Usage(err)
			}
			l, err := view.Listen(cmd.Context(), listen, published)
			if err != nil {
				return exitcode.Usage(err)
			}
			url := "http://" + l.Addr().String() + "/"
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]string{"url": url})
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Runs are at %s (Ctrl-C to stop)\n", url)
			}
			if err != nil {
				l.Close()
				return err
			}
			return srv.Serve(cmd.Context(), l)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "loopback `host:port` to listen on; port 0 takes a free one")
	cmd.Flags().BoolVar(&published, "published", false,
		"listen on any address: for a container whose port is published to loopback")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the address as JSON")
	return cmd
}
