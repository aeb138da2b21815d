package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"memsoak/soak/specimens/all"
	"memsoak/soak/specimens/copier"
	"memsoak/soak/specimens/specimen"
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
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			e, err := all.Specimens().New(name, cfg)
			if err != nil {
				return usageError{err}
			}
			defer e.Close()
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "specimen %s listens on http://%s\n", name, l.Addr())
			return serve(c.Context(), l, handler(e))
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
	f.IntVar(&cfg.MaxIdlePerHost, "max-idle-conns-per-host", cfg.MaxIdlePerHost, "idle connections kept per host; 0: net/http's default of 2")
	f.StringVar(&cfg.CAFile, "ca-file", "", "PEM of a CA to trust")
	f.StringVar(&cfg.TempDir, "temp-dir", "", "directory of spools; default: the system's")
	return cmd
}

// handler is the subject contract over an engine.
func handler(e specimen.Engine) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.Handle("GET /metrics", metrics())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("POST /v1/waves", func(w http.ResponseWriter, r *http.Request) { wave(e, w, r) })
	return mux
}

// runtimeMetrics are those that the Go collector leaves out by default and a verdict on the collector needs.
var runtimeMetrics = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/cpu/classes/(gc/)?total:cpu-seconds$`)}

func metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(runtimeMetrics)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// wave runs one wave and answers when it has ended.
func wave(e specimen.Engine, w http.ResponseWriter, r *http.Request) {
	var job struct{ Root, Prefix string }
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	d.DisallowUnknownFields()
	if err := d.Decode(&job); err != nil || job.Root == "" {
		http.Error(w, fmt.Sprintf(`want {"root":"ID","prefix":"KEY"}: %v`, err), http.StatusBadRequest)
		return
	}
	stats, err := e.Run(r.Context(), job.Root, job.Prefix)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(stats)
}

// serve serves until ctx ends, then gives requests a moment to end.
func serve(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		err := s.Shutdown(grace)
		if errors.Is(err, context.DeadlineExceeded) {
			err = s.Close()
		}
		stopped <- err
	}()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}
