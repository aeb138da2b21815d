package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/report"
)

func newRecordCmd() *cobra.Command {
	var o soak.Recording
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "record --pprof URL",
		Short: "Record a process that runs already, here or in a pod",
		Long: `Record a process that runs already into a run's directory that 'soak diagnose', 'soak view' and 'soak report' read. The
process is read, never steered: heap and goroutine profiles, the runtime's own account, and metrics when there are any.

It records until --for is over or until Ctrl-C, which is a proper end. Disk use is bounded: of a long recording, evenly
spread profiles are kept.`,
		Example: `  kubectl port-forward pod/migrator-0 6060 &
  soak record --pprof http://localhost:6060/debug/pprof --every 30s --for 2h --out soak-results/pod
  soak record --pprof http://localhost:6060/debug/pprof --metrics http://localhost:6060/metrics --gc`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if u, err := url.Parse(o.Pprof); err != nil || u.Host == "" || o.Every <= 0 || o.For < 0 {
				return exitcode.Usage(fmt.Errorf("--pprof %q is no URL, or --every or --for is not above 0", o.Pprof))
			}
			o.Pprof = strings.TrimRight(o.Pprof, "/")
			dir := out
			if dir == "" {
				dir = filepath.Join("soak-results", time.Now().Format("20060102-150405")+"-"+o.Name)
			}
			if !asJSON {
				fmt.Fprintf(cmd.OutOrStdout(), "recording %s into %s; Ctrl-C ends it\n", o.Pprof, dir)
				o.OnSnapshot = func(s record.Snapshot) { fmt.Fprintln(cmd.OutOrStdout(), snapshotLine(s)) }
			}
			run, err := soak.Record(cmd.Context(), dir, o)
			if errors.Is(err, soak.ErrConfig) {
				return exitcode.Usage(err)
			}
			if err != nil {
				return err
			}
			if out == "" {
				link(dir)
			}
			if err := judgeTrials(dir, run); err != nil {
				return err
			}
			if err := conclude(context.WithoutCancel(cmd.Context()), dir, new(profiles.Judge)); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"dir": dir, "seconds": run.Status[0].Trials[0].Seconds})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "report: %s\n", filepath.Join(dir, report.HTMLFile))
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Pprof, "pprof", "", "URL of net/http/pprof: http://host:port/debug/pprof (required)")
	f.StringVar(&o.Metrics, "metrics", "", "URL of Prometheus metrics")
	f.StringVar(&o.Name, "name", "process", "name of the subject")
	f.StringVar(&o.Module, "module", "", "module path whose code is judged; default: all but the standard library")
	f.DurationVar(&o.Every, "every", 30*time.Second, "time between snapshots")
	f.DurationVar(&o.For, "for", 0, "how long; 0 is until Ctrl-C")
	f.BoolVar(&o.ForceGC, "gc", false, "force two collections before each profile")
	f.StringVar(&out, "out", "", "directory of the run (default soak-results/<time>-<name>)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	_ = cmd.MarkFlagRequired("pprof")
	return cmd
}

func snapshotLine(s record.Snapshot) string {
	line := s.Time.Format(time.TimeOnly)
	if s.Runtime != nil {
		line += fmt.Sprintf("  heap %s, from the system %s, %d goroutines", units.FormatBytes(s.Runtime.HeapAlloc), units.FormatBytes(s.Runtime.Sys), s.Runtime.Goroutines)
	}
	return line
}

// judgeTrials writes the verdict of each finished trial of a run.
func judgeTrials(dir string, run *record.Run) error {
	for _, c := range run.Status {
		for _, t := range c.Trials {
			if t.Outcome == "" {
				continue
			}
			at := filepath.Join(dir, filepath.FromSlash(c.Dir), fmt.Sprintf("trial-%d", t.Index))
			v, err := profiles.DiagnoseTrial(at, profiles.Options{})
			if err != nil {
				return err
			}
			if err := record.Write(filepath.Join(at, record.VerdictFile), v); err != nil {
				return err
			}
		}
	}
	return nil
}
