package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/metrics"
	"github.com/memsoak/memsoak/soak/internal/pyroscope"
	"github.com/memsoak/memsoak/soak/internal/tui"
)

// watchFlags are the flags of soak run that say who follows the run beside the terminal.
type watchFlags struct {
	pyroscope, metrics string
	shown              pyroscope.Shown
}

func (f *watchFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.pyroscope, "pyroscope", "", "`URL` of a Pyroscope server: push each trial's profiles as it ends")
	shownFlags(fl, &f.shown)
	fl.StringVar(&f.metrics, "metrics-listen", "", "`host:port` at which Prometheus finds the run's progress, at /metrics")
}

// watch is who follows a run: the terminal, or JSON lines; Pyroscope; Prometheus.
type watch struct {
	sinks []func(soak.Event)
	ends  []func() error
}

// start begins to follow the run that will be recorded into dir.
func (f watchFlags) start(cmd *cobra.Command, dir string, asJSON, verbose bool) (*watch, error) {
	w := &watch{}
	out := cmd.OutOrStdout()
	said := out
	if asJSON {
		said = cmd.ErrOrStderr()
	}
	if f.metrics != "" {
		if err := w.export(cmd.Context(), f.metrics, said); err != nil {
			return nil, exitcode.Usage(fmt.Errorf("--metrics-listen: %w", err))
		}
	}
	if f.pyroscope != "" {
		p, err := follow(cmd.Context(), f.pyroscope, f.shown, dir)
		if err != nil {
			return nil, err
		}
		w.sinks = append(w.sinks, p.event)
		w.ends = append(w.ends, func() error { return p.wait(said) })
	}
	sink, stop := tui.JSON(out), func() {}
	if !asJSON {
		sink, stop = tui.Start(out, verbose)
	}
	w.sinks = append(w.sinks, sink)
	w.ends = append([]func() error{func() error { stop(); return nil }}, w.ends...)
	return w, nil
}

func (w *watch) export(ctx context.Context, addr string, said io.Writer) error {
	e := metrics.New()
	url, stop, err := e.Listen(ctx, addr)
	if err != nil {
		return err
	}
	fmt.Fprintln(said, "metrics:", url)
	w.sinks = append(w.sinks, e.Event)
	w.ends = append(w.ends, func() error { stop(ctx); return nil })
	return nil
}

func (w *watch) event(e soak.Event) {
	for _, s := range w.sinks {
		s(e)
	}
}

// end waits for all that follow the run; the first error is returned, and all are ended.
func (w *watch) end() error {
	var first error
	for _, end := range w.ends {
		if err := end(); err != nil && first == nil {
			first = err
		}
	}
	return first
}
