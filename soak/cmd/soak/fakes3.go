package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// newFakes3Cmd is `soak fakes3`, the S3 sink as a process of its own.
func newFakes3Cmd() *cobra.Command {
	return command.Group("fakes3", "The S3 sink: takes uploads, checks them, keeps no content", newFakes3ServeCmd())
}

type fakes3Flags struct {
	serve  fakes3.ServeConfig
	faults string
	sink   fakes3.Config
}

func newFakes3ServeCmd() *cobra.Command {
	f := fakes3Flags{sink: fakes3.Config{MinPart: 5 << 20, MaxPut: 5 << 30}}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve S3 until interrupted",
		Long: `Serve S3 until interrupted. Uploads of any size are read to their end, checked against their length,
Content-MD5 and x-amz-checksum-*, and thrown away; key, size, MD5 and metadata are kept in memory. Any credentials are
accepted.

The plain listener serves the admin protocol below /_fake/v1/ (counters, holds, faults, objects) and /metrics too.`,
		Example: `  soak fakes3 serve --listen 127.0.0.1:9000 --bucket photos
  soak fakes3 serve --listen 127.0.0.1:0 --tls-listen 127.0.0.1:0 --ca-file ca.pem --addr-file sink.json --bucket photos
  curl 'http://127.0.0.1:9000/_fake/v1/objects?bucket=photos'`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runFakes3Serve(c, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.serve.Listen, "listen", "127.0.0.1:0",
		"`host:port` of plain http and the admin protocol; port 0 takes a free one")
	fl.StringVar(&f.serve.TLSListen, "tls-listen", "",
		"`host:port` of https, with a certificate of a CA made at the start")
	fl.StringVar(&f.serve.CAFile, "ca-file", "", "write the CA's certificate to this `file` (PEM)")
	fl.StringArrayVar(&f.serve.AdminHosts, "admin-host", nil,
		"a `name`, beside localhost, by which the admin protocol may be reached (may be repeated)")
	fl.StringVar(&f.serve.AddrFile, "addr-file", "",
		"write the addresses to this `file` (JSON) once the sink listens, with a token that admin changes then need")
	fl.StringArrayVar(&f.sink.Buckets, "bucket", nil, "make a bucket of this `name` (repeatable)")
	fl.StringVar(&f.faults, "faults", "", "fault plan: a YAML `file`")
	fl.Var((*units.Bytes)(&f.sink.MinPart), "min-part", "least size of a part but the last; 5MiB is S3's own")
	fl.Var((*units.Bytes)(&f.sink.MaxPut), "max-put",
		"largest body of one PutObject or UploadPart; 5GiB is S3's own limit")
	return cmd
}

func runFakes3Serve(c *cobra.Command, f fakes3Flags) error {
	if f.serve.CAFile != "" && f.serve.TLSListen == "" {
		return exitcode.Usage(errors.New("--ca-file needs --tls-listen"))
	}
	f.sink.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	sink, err := fakes3.New(f.sink)
	if err != nil {
		return exitcode.Usage(err)
	}
	if f.faults != "" {
		text, err := bounded.ReadFile(f.faults, bounded.Plan)
		if err != nil {
			return exitcode.Usage(err)
		}
		if _, err := sink.Control.SetPlanText(text); err != nil {
			return exitcode.Usage(fmt.Errorf("%s: %w", f.faults, err))
		}
	}
	f.serve.Ready = func(a fault.Addresses) {
		fmt.Fprintln(c.OutOrStdout(), "S3 sink at", a.HTTP)
		if a.HTTPS != "" {
			fmt.Fprintln(c.OutOrStdout(), "S3 sink at", a.HTTPS)
		}
	}
	return sink.Serve(c.Context(), f.serve)
}
