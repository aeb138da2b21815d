package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/growth"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// diagnoseOptions are the flags of soak diagnose.
type diagnoseOptions struct {
	profiles.Options
	pullOptions
	covariates string
	reduce     string
	strict     bool
	json       bool
}

func newDiagnoseCmd() *cobra.Command {
	var o diagnoseOptions
	c := &cobra.Command{
		Use:   "diagnose {DIR|FILE... | --pyroscope URL --query QUERY}",
		Short: "Say what holds the memory, from recorded profiles",
		Long: `Say what holds the memory, from recorded profiles.

DIR is a run's directory (its verdicts and reports are written again), a trial's directory, or a
directory of plain Go heap profiles, such as /debug/pprof/heap gave them in production;
FILE... are plain heap profiles. Plain profiles are put in the order of the times inside
them. A CSV file beside them can say what the process was doing at each: a column "file"
or "time" and any of files_done, distinct, bytes_done, in_flight, backlog ...; profiles
with nothing in flight and no backlog count as floors.

With --pyroscope the profiles are those that a Pyroscope server has of one process.`,
		Example: `  soak diagnose soak-results/latest
  soak diagnose heap.*.pb.gz --covariates work.csv
  soak diagnose --strict --json profiles/
  soak diagnose --pyroscope http://localhost:4040 --query cart --from 6h`,
		RunE: func(c *cobra.Command, args []string) error { return diagnosePulled(c, args, o) },
	}
	o.flags(c.Flags())
	f := c.Flags()
	f.StringVar(&o.Module, "module", "",
		"module path whose frames may be blamed (default: as recorded, or all that is no dependency)")
	f.Var(&count{&o.PlannedFiles}, "files", "planned number of files, by which findings are ranked, such as 10M")
	f.Var((*units.Bytes)(&o.LargestFile), "largest-file",
		"largest file planned (default: 5GiB to rank findings, the largest held to say how many workers fit)")
	f.StringVar(&o.covariates, "covariates", "", "CSV of what the process was doing at each plain profile")
	f.StringVar(&o.reduce, "reduce", "",
		"write the sizes by place, without the profiles, to this file: kilobytes to keep or to send")
	f.BoolVar(&o.strict, "strict", false, "exit with 3 when anything is inconclusive")
	f.BoolVar(&o.json, "json", false, "print the verdict as JSON")
	return c
}

func diagnose(ctx context.Context, out io.Writer, args []string, o diagnoseOptions) (result error) {
	if o.reduce != "" {
		file, err := os.Create(o.reduce)
		if err != nil {
			return exitcode.Usage(err)
		}
		defer file.Close()
		o.OnSeries = func(s growth.Series) { err = errors.Join(err, s.Reduce().Write(file)) }
		defer func() {
			if err != nil && result == nil {
				result = fmt.Errorf("write %s: %w", o.reduce, err)
			}
		}()
	}
	isRun := len(args) == 1 && recorded(args[0], record.RunFile)
	isTrial := len(args) == 1 && recorded(args[0], record.TrialFile)
	switch {
	case o.covariates != "" && (isRun || isTrial):
		return exitcode.Usage(errors.New("--covariates goes with plain profiles; a recorded run has its own"))
	case isRun:
		return diagnoseRun(ctx, out, args[0], o)
	}
	v, err := oneVerdict(args, isTrial, o)
	if err != nil {
		return err
	}
	if err := show(out, o.json, v, func() { writeFirstScreen(out, v) }); err != nil {
		return err
	}
	return strictly(o.strict, v.Headline == record.Inconclusive)
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

func recorded(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

// oneVerdict judges a trial's directory, or plain profiles.
func oneVerdict(args []string, isTrial bool, o diagnoseOptions) (*record.Verdict, error) {
	if isTrial {
		v, err := profiles.DiagnoseTrial(args[0], o.Options)
		if err != nil {
			return nil, exitcode.Usage(err)
		}
		return v, record.Write(filepath.Join(args[0], record.VerdictFile), v)
	}
	var files []string
	for _, a := range args {
		if !isDir(a) {
			files = append(files, a)
			continue
		}
		list, err := profiles.ProfileFiles(a)
		if err != nil {
			return nil, exitcode.Usage(err)
		}
		if len(list) == 0 {
			return nil, exitcode.Usage(fmt.Errorf("%s has neither %s nor %s nor profiles of any name", a,
				record.RunFile, record.TrialFile))
		}
		files = append(files, list...)
	}
	var cov io.Reader
	if o.covariates != "" {
		f, err := bounded.Open(o.covariates, bounded.Samples)
		if err != nil {
			return nil, exitcode.Usage(err)
		}
		defer f.Close()
		cov = f
	}
	v, err := profiles.DiagnoseFiles(files, cov, o.Options)
	return v, exitcode.Usage(err)
}

// diagnoseRun judges a run and writes its verdicts again, with the reports, which show them.
func diagnoseRun(ctx context.Context, out io.Writer, dir string, o diagnoseOptions) error {
	rv, err := profiles.DiagnoseRun(dir, o.Options)
	if err != nil {
		return exitcode.Usage(err)
	}
	if err := errors.Join(writeVerdicts(dir, rv), report.Generate(ctx, dir)); err != nil {
		return err
	}
	bad, passive := len(rv.Cells) == 0 || rv.Lost > 0, false
	for _, v := range rv.Cells {
		bad = bad || v.Headline == record.Inconclusive
		passive = passive || v.Growth != nil
	}
	err = show(out, o.json, rv, func() {
		for i := range rv.Cells {
			v := &rv.Cells[i]
			if v.Growth != nil {
				writeFirstScreen(out, v)
				continue
			}
			fmt.Fprintf(out, "%-44s %-12s %-12s peak %s\n", v.Cell, v.Outcome, v.Headline, v.Peak)
		}
		if !passive {
			writeAnswer(out, rv.Answer, rv.Capacity)
		}
		for _, w := range rv.Warnings {
			fmt.Fprintln(out, "warning:", w)
		}
	})
	if err != nil {
		return err
	}
	return strictly(o.strict, bad)
}

// writeVerdicts writes the run's verdict and those of its trials.
func writeVerdicts(dir string, rv *record.RunVerdict) error {
	for i := range rv.Cells {
		v := &rv.Cells[i]
		trial := filepath.Join(dir, "cells", v.Cell.Dir(), fmt.Sprintf("trial-%d", v.Trial))
		if err := record.Write(filepath.Join(trial, record.VerdictFile), v); err != nil {
			return err
		}
	}
	return record.Write(filepath.Join(dir, record.VerdictFile), rv)
}

// show prints v as JSON, or calls text.
func show(out io.Writer, asJSON bool, v any, text func()) error {
	if !asJSON {
		text()
		return nil
	}
	return printJSON(out, v)
}

// printJSON prints v for programs and for people who read JSON.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", " ")
	return enc.Encode(v)
}

// strictly is the error of an inconclusive answer under --strict.
func strictly(strict, inconclusive bool) error {
	if strict && inconclusive {
		return exitcode.Quiet(exitcode.Inconclusive, errors.New("inconclusive"))
	}
	return nil
}

// writeVerdict prints a trial's verdict for a person.
func writeVerdict(out io.Writer, v *record.Verdict) {
	fmt.Fprintf(out, "%s", strings.ToUpper(v.Headline.String()))
	if v.Confidence > 0 {
		fmt.Fprintf(out, " (confidence %.2f)", v.Confidence)
	}
	fmt.Fprintf(out, "\npeak: %s, live heap %s\n", v.Peak, units.FormatBytes(v.Peak.HeapLive))
	for i, f := range v.Findings {
		fmt.Fprintf(out, "\n%d. %s: %s\n", i+1, f.Class, f.Summary)
		if f.Slope != nil {
			fmt.Fprintf(out, "   %s bytes per %s (95 %%: %s to %s)\n", units.CommaFloat(f.Slope.Bytes, 3), f.Slope.Per,
				units.CommaFloat(f.Slope.CI95[0], 3), units.CommaFloat(f.Slope.CI95[1], 3))
		}
		for _, e := range f.Evidence {
			fmt.Fprintf(out, "   - %s\n", e)
		}
	}
	if len(v.Findings) == 0 && len(v.TopAtPeak) > 0 {
		fmt.Fprintln(out, "\nlargest sites at the peak:")
		for _, t := range v.TopAtPeak[:min(5, len(v.TopAtPeak))] {
			fmt.Fprintf(out, "  %10s  %s %s:%d\n", units.FormatBytes(t.Bytes), t.Site.Function, t.Site.File, t.Site.Line)
		}
	}
	for _, w := range v.Warnings {
		fmt.Fprintf(out, "warning: %s\n", w)
	}
}
