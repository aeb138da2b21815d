package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"memsoak/profiles"
	"memsoak/profiles/record"
	"memsoak/soak/exitcode"
	"memsoak/soak/internal/units"
)

// planOptions are the flags of soak plan.
type planOptions struct {
	limit, largest string
	files          int64
	module         string
	json           bool
}

func newPlanCmd() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan RUN --limit 2Gi",
		Short: "Say how many workers are safe below a memory limit",
		Long: `Say how many workers are safe below a memory limit, from the memory model of a recorded run:
the largest count whose predicted peak, at the upper end of its 95 % interval, stays below the
limit; which GOMEMLIMIT to set; and what binds first. The prediction is for the planned work:
files as large as --largest-file in every worker, and --files of them in all.`,
		Example: `  soak plan soak-results/latest --limit 2Gi
  soak plan soak-results/latest --limit 512Mi --largest-file 100MiB --files 10M`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return plan(c.OutOrStdout(), args[0], o) },
	}
	f := c.Flags()
	f.StringVar(&o.limit, "limit", "", "memory limit of the pod or cgroup, such as 2Gi (required)")
	f.StringVar(&o.largest, "largest-file", "5GiB", "largest file planned")
	f.Var(&count{&o.files}, "files", "planned number of files, such as 200000 or 10M")
	f.StringVar(&o.module, "module", "", "module path whose frames may be blamed (default: as recorded)")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	return c
}

func plan(out io.Writer, dir string, o planOptions) error {
	if err := mustExist(dir); err != nil {
		return err
	}
	limit, err := units.ParseBytes(o.limit)
	if err != nil || limit <= 0 {
		return exitcode.Usage(fmt.Errorf("--limit: %q is not a size such as 2Gi", o.limit))
	}
	largest, err := units.ParseBytes(o.largest)
	if err != nil || largest <= 0 {
		return exitcode.Usage(fmt.Errorf("--largest-file: %q is not a size such as 5GiB", o.largest))
	}
	if o.files == 0 {
		o.files = profiles.DefaultPlannedFiles
	}
	c, err := profiles.Capacity(dir, profiles.Plan{Limit: limit, LargestFile: largest, Files: o.files},
		profiles.Options{Module: o.module, PlannedFiles: o.files, LargestFile: largest})
	if errors.Is(err, profiles.ErrNoModel) {
		return exitcode.With(exitcode.Inconclusive, err)
	}
	if err != nil {
		return err
	}
	return show(out, o.json, c, func() { writeCapacity(out, c) })
}

func writeCapacity(out io.Writer, c *record.Capacity) {
	switch {
	case c.MaxWorkers < 0:
		fmt.Fprintf(out, "not even one worker is safe below %s\n", units.FormatBytes(c.Limit))
	case c.AtLeast:
		fmt.Fprintf(out, "at least %d workers are safe below %s; a larger matrix would tell how many more\n", c.MaxWorkers, units.FormatBytes(c.Limit))
	default:
		fmt.Fprintf(out, "up to %d workers are safe below %s\n", c.MaxWorkers, units.FormatBytes(c.Limit))
	}
	if !c.AtLeast {
		fmt.Fprintf(out, "what binds first: %s\n", c.Binds)
	}
	if c.GOMEMLIMIT > 0 {
		fmt.Fprintf(out, "set GOMEMLIMIT=%dMiB\n", c.GOMEMLIMIT>>20)
	}
	fmt.Fprintf(out, "\n%8s  %12s  %s\n", "workers", "peak", "95 % of peaks")
	for _, s := range c.At {
		fmt.Fprintf(out, "%8d  %12s  %s to %s\n", s.Workers, units.FormatBytes(s.Peak), units.FormatBytes(s.PI95[0]), units.FormatBytes(s.PI95[1]))
	}
	fmt.Fprintln(out)
	for _, a := range c.Assumes {
		fmt.Fprintln(out, "assumes:", a)
	}
	for _, w := range c.Warnings {
		fmt.Fprintln(out, "warning:", w)
	}
}

// count is a flag for a number of things: 200000, 200k, 10M.
type count struct{ n *int64 }

func (c *count) String() string {
	if c.n == nil || *c.n == 0 {
		return "1M"
	}
	return fmt.Sprint(*c.n)
}

func (c *count) Type() string { return "count" }

func (c *count) Set(text string) error {
	var n int64
	var unit string
	if _, err := fmt.Sscanf(text+" ", "%d%s", &n, &unit); err != nil && unit == "" && n == 0 {
		return fmt.Errorf("%q is not a number such as 200000 or 10M", text)
	}
	factor, ok := map[string]int64{"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}[unit]
	if !ok || n < 1 || n > (1<<62)/factor {
		return fmt.Errorf("%q is not a number such as 200000 or 10M", text)
	}
	*c.n = n * factor
	return nil
}
