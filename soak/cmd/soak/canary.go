package main

import (
	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/soak/internal/canary"
)

// newCanaryCmd serves the subject of the gate's self-check. It is hidden: people have no use for it.
func newCanaryCmd() *cobra.Command {
	var o canary.Options
	var listen string
	cmd := &cobra.Command{
		Use:   "canary",
		Short: "Serve the subject of the gate's self-check",
		Long:  `Serve the subject of 'soak gate --self-check': a small copier that leaks as much per file as it should.`,
		Example: `  soak canary --listen 127.0.0.1:8080 --drive-endpoint http://127.0.0.1:9001 \
    --s3-endpoint http://127.0.0.1:9002 --bucket soak --leak-bytes 64`,
		Hidden: true,
		Args:   usageArgs(cobra.NoArgs),
		RunE:   func(cmd *cobra.Command, _ []string) error { return canary.Serve(cmd.Context(), listen, o) },
	}
	fl := cmd.Flags()
	fl.StringVar(&listen, "listen", "127.0.0.1:0", "address to serve on")
	fl.StringVar(&o.Drive, "drive-endpoint", "", "base URL of Drive")
	fl.StringVar(&o.S3, "s3-endpoint", "", "base URL of S3")
	fl.StringVar(&o.Bucket, "bucket", "soak", "bucket to copy to")
	fl.IntVar(&o.Workers, "workers", 4, "transfers at once")
	fl.IntVar(&o.LeakBytes, "leak-bytes", 0, "bytes to retain per file, in steps of 64")
	fl.IntVar(&o.LeakRoutines, "leak-goroutines", 0, "goroutines to leave per file")
	return cmd
}
