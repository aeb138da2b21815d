package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/soak/replay/history"
	"github.com/memsoak/memsoak/soak/replay/service"
	"github.com/memsoak/memsoak/soak/specimens/contract"
)

// serveFlags are the flags of replay serve.
type serveFlags struct {
	preset, listen string
	scale          int
	cfg            service.Config
	traits         history.Traits
}

func newServeCmd() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the subject contract: /healthz, /metrics, /debug/pprof, POST /v1/waves",
		Long: `Serve the subject contract with the traits of a preset. A flag of a trait wins over the preset, and is taken
as it is: --scale divides the preset's sizes only.`,
		Example: `  replay serve --preset v2.4.1-single-worker --listen 127.0.0.1:6060 \
    --drive-endpoint http://127.0.0.1:7000 --s3-endpoint http://127.0.0.1:9000 --bucket copies
  replay serve --preset v2.3.6 --scale 16 --discovery spool ...    # one of its remedies`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return f.serve(c) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.preset, "preset", "v2.4.1-single-worker", "the version; 'replay presets' lists them")
	fl.IntVar(&f.scale, "scale", 1, "divide the preset's sizes by this")
	fl.StringVar(&f.listen, "listen", "127.0.0.1:0", "address of the control server")
	fl.StringVar(&f.cfg.Drive, "drive-endpoint", "", "base URL of the Drive (required)")
	fl.StringVar(&f.cfg.S3, "s3-endpoint", "", "base URL of the S3 service (required)")
	fl.StringVar(&f.cfg.Bucket, "bucket", "", "bucket to copy into (required)")
	fl.StringVar(&f.cfg.Broker, "broker", "", "URL of the queue for --discovery broker, as in redis://127.0.0.1:6379/0")
	fl.StringVar(&f.cfg.TempDir, "temp-dir", "", "directory of the spool (default the system's)")
	f.register(fl)
	return cmd
}

// register adds a flag for each trait.
func (f *serveFlags) register(fl *pflag.FlagSet) {
	t := &f.traits
	fl.IntVar(&t.Workers, "workers", 0, "uploads at once")
	fl.IntVar(&t.DiscoveryWorkers, "discovery-workers", 0, "listings at once")
	fl.Var((*units.Bytes)(&t.BufferBelow), "buffer-below", "files below this are read whole before the upload; 0: none")
	fl.Var((*units.Bytes)(&t.PartSize), "part-size", "part of the SDK's uploader")
	fl.IntVar(&t.PartConcurrency, "part-concurrency", 0, "parts of a file that the SDK sends at once")
	fl.IntVar(&t.MaxIdle, "max-idle-conns", 0, "idle connections kept, in total; 0: no limit")
	fl.IntVar(&t.MaxIdlePerHost, "max-idle-conns-per-host", 0, "idle connections kept per host")
	fl.Var((*units.Bytes)(&t.StreamWindow), "stream-window",
		"bytes that HTTP/2 lets Drive send of a file before they are read; 0: net/http's 4 MiB")
	fl.Var((*units.Bytes)(&t.ForceGCAbove), "force-gc-above",
		"force a collection each second while the heap is larger; 0: never")
	fl.DurationVar(&t.Timeout, "timeout", 0, "of a whole request, its body included; 0: none")
	fl.IntVar(&t.Attempts, "attempts", 0, "attempts at a file, each from its first byte")
	fl.StringVar(&t.Discovery, "discovery", "",
		"memory, as the history has it, spool: the migrator's queue on disk, or broker: its queue on --broker")
	fl.StringVar(&t.Upload, "upload", "",
		"sdk: parts, as was assumed, put: one streamed PutObject, or chunks: parts by the migrator's sink")
}

// resolve lays the flags that were given over the preset.
func (f *serveFlags) resolve(fl *pflag.FlagSet) (history.Traits, error) {
	p, err := history.Find(f.preset)
	if err != nil {
		return history.Traits{}, err
	}
	if f.scale < 1 {
		return history.Traits{}, fmt.Errorf("--scale %d: want at least 1", f.scale)
	}
	given := map[string]string{}
	fl.Visit(func(g *pflag.Flag) { given[g.Name] = g.Value.String() })
	f.traits = p.By(f.scale)
	for name, value := range given {
		if err := fl.Set(name, value); err != nil {
			return history.Traits{}, err
		}
	}
	return f.traits, f.traits.Validate()
}

func (f *serveFlags) serve(c *cobra.Command) error {
	var err error
	if f.cfg.Traits, err = f.resolve(c.Flags()); err != nil {
		return exitcode.Usage(err)
	}
	s, err := service.New(f.cfg)
	if err != nil {
		return exitcode.Usage(err)
	}
	defer s.Close()
	l, err := net.Listen("tcp", f.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "replay %s listens on http://%s\n", f.preset, l.Addr())
	return contract.Serve(c.Context(), l, contract.Handler(s))
}
