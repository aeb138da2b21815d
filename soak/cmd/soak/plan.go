package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/capacity"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// planOptions are the flags of soak plan.
type planOptions struct {
	costs.Plan
	module, fakedrive string
	verify, json      bool
}

func newPlanCmd() *cobra.Command {
	var o planOptions
	c := &cobra.Command{
		Use:   "plan RUN {--limit SIZE | --workers N}",
		Short: "Say how many workers are safe below a memory limit, or which limit they need",
		Long: `Say how many workers are safe below a memory limit, from the memory model of a recorded run: the largest count
whose predicted need, at the upper end of its 95 % interval, stays below the limit; which GOMEMLIMIT to set; and what
binds first. A trial that did no work, didn't end well or is inconclusive is no ground for an answer, and none is as
high as a count that was killed: then it is not known (exit code 3), and the run that decides is named. The need is the
live heap, stacks, memory outside the Go heap (mapped, tmpfs, the kernel's own) and what is beside buffers that grow by
copying while they do; garbage and pages of files make room under pressure and take no worker away. Where more may fit
by how much of that the fullest moment has, the answer says up to how many, and which run tells. The prediction is
for the planned work: files as large as --largest-file in every worker, and --files of them in all.

It also says up to which size files are safe with as many workers as were tried, or --workers, and what to set beside
GOMEMLIMIT, where the recording shows that it matters. With --workers and no --limit the answer is the smallest limit,
in whole MiB, that is safe for so many workers on the planned work: 'soak plan --limit' with it says as many. What keeps
an answer from being given below that limit makes it unknown, and no limit is for more than twice the workers tried.

With --verify the run's subject is started below that limit in a real memory cgroup, with so many
workers and with one more; all of them hold a file of the largest size at once. That the answer
survives and one worker more may not is what to expect; that the answer is killed is an error. Where
the answer is a range, numbers in it are tried, three times each, until the most that survive are known.
The planned number of files is not copied. A service, whose item is the request, has no files to hold:
--verify is refused (exit code 2), and the 'soak run' that puts so many requests in flight is named.`,
		Example: `  soak plan soak-results/latest --limit 2Gi
  soak plan soak-results/latest --limit 512Mi --largest-file 100MiB --files 10M
  soak plan soak-results/latest --limit 256Mi --largest-file 16MiB --verify
  soak plan soak-results/latest --workers 8 --largest-file 100MiB --files 200k`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return plan(c, args[0], o) },
	}
	f := c.Flags()
	f.Var((*units.Bytes)(&o.Limit), "limit", "memory limit of the pod or cgroup, such as 2Gi")
	f.IntVar(&o.Workers, "workers", 0,
		"workers to say the largest file for (default: as many as were tried); without --limit, the smallest limit")
	f.Var((*units.Bytes)(&o.LargestFile), "largest-file",
		"largest file planned (default: the largest that the run's trials held)")
	f.Var(&count{&o.Files}, "files", "planned number of files, such as 200000 or 10M")
	f.StringVar(&o.module, "module", "", "module path whose frames may be blamed (default: as recorded)")
	f.BoolVar(&o.verify, "verify", false, "run the answer and one worker more in a real cgroup, and what is in a range")
	f.StringVar(&o.fakedrive, "fakedrive", "", "path of the fakedrive program, for --verify")
	f.BoolVar(&o.json, "json", false, "print the answer as JSON")
	return c
}

func plan(cmd *cobra.Command, dir string, o planOptions) error {
	if err := mustExist(dir); err != nil {
		return err
	}
	if o.Limit == 0 && o.Workers < 1 {
		return exitcode.Usage(errors.New("--limit is missing: a size such as 2Gi; or --workers, for the smallest"))
	}
	c, err := profiles.Capacity(dir, o.Plan, profiles.Options{Module: o.module, PlannedFiles: o.Files,
		LargestFile: o.LargestFile})
	if errors.Is(err, fs.ErrNotExist) {
		return exitcode.Usage(fmt.Errorf("%s is not a run: %w", dir, err))
	}
	if err != nil {
		return err
	}
	if o.verify {
		err = verifyCapacity(cmd, dir, c, o)
	}
	out := cmd.OutOrStdout()
	if err == nil && leavesOpen(c) {
		err = exitcode.Quiet(exitcode.Inconclusive, errors.New("what fits is not known"))
	}
	return errors.Join(show(out, o.json, c, func() { writeCapacity(out, c) }), err)
}

// leavesOpen reports whether a question of the plan has no answer.
func leavesOpen(c *record.Capacity) bool {
	return c.MaxWorkers == 0 || c.FitsUnknown != "" || c.Sizes != nil && c.Sizes.Safe == 0
}

// enoughForParts is a file larger than any part or window that is held per worker: with a model that has no term of the
// size of files, larger ones take time and show nothing.
const enoughForParts = 64 << 20

// verifyCapacity runs the answer, and one worker more unless the answer is only a lower bound, and takes the trials
// into c. A range is narrowed until one number is left. Where the answer hangs on a size of files alone, the model's
// number is run with files of that size.
func verifyCapacity(cmd *cobra.Command, dir string, c *record.Capacity, o planOptions) error {
	if c.Words.Item == record.ItemRequest {
		return exitcode.Usage(fmt.Errorf("--verify holds files, and a service has none: verify by '%s'", capacity.TryOut(c)))
	}
	run, err := record.ReadRun(dir)
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "memsoak-plan-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	counts, size := toVerify(c)
	if len(counts) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "verifying: nothing, since no number of workers is claimed that a trial could refute")
	}
	try := func(n int) error {
		h := soak.Held{Workers: n, FileSize: size, Limit: c.Limit, GOMEMLIMIT: c.GOMEMLIMIT}
		return verifyHeld(cmd, run, filepath.Join(tmp, strconv.Itoa(len(c.Verified))), c, h, o.fakedrive)
	}
	for _, n := range counts {
		if err := try(n); err != nil {
			return err
		}
	}
	return narrow(c, try)
}

// verifyHeld runs one trial in dir and takes it into c. A claim that it refutes is an error.
func verifyHeld(cmd *cobra.Command, run *record.Run, dir string, c *record.Capacity, h soak.Held,
	fakedrive string) error {
	p, err := soak.HeldPlan(run, h)
	if err != nil {
		return exitcode.Usage(err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "verifying: %s, each with a file of %s, below %s\n", units.Count(h.Workers, "worker"),
		units.FormatBytes(h.FileSize), units.FormatBytes(c.Limit))
	r := &soak.Runner{Plan: p, Dir: dir, Fakedrive: fakedrive}
	if program, err := os.Executable(); err == nil {
		r.Soak = program
	}
	t, err := soak.RunHeld(cmd.Context(), r, h)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	claimed := c.MaxWorkers
	capacity.Verify(c, t)
	if claimed > 0 && h.Workers == claimed && t.Outcome != record.OK {
		return fmt.Errorf("the plan does not hold: killed with %s below %s", units.Count(t.Workers, "worker"),
			units.FormatBytes(c.Limit))
	}
	return nil
}

// narrow tries the numbers between the ends of a range until these meet.
func narrow(c *record.Capacity, try func(workers int) error) error {
	for c.Perhaps > 0 {
		if err := try((max(c.MaxWorkers, 0) + c.Perhaps + 1) / 2); err != nil {
			return err
		}
	}
	return nil
}

// toVerify are the worker counts that decide whether an answer holds, and the size of the files that each holds.
func toVerify(c *record.Capacity) (counts []int, size int64) {
	size = c.LargestFile
	switch {
	case c.UntriedSize && c.Estimate > 0:
		return []int{c.Estimate}, size
	case c.MaxWorkers == 0:
		return nil, size // nothing is claimed
	}
	if !c.BytesInFlight {
		size = min(size, enoughForParts)
	}
	switch {
	case c.MaxWorkers < 1 && (c.Fits != nil || c.FitsUnknown != ""):
		return nil, size // it is the planned files that don't fit, and these are not copied
	case c.MaxWorkers < 1:
		return []int{1}, size
	case c.AtLeast, c.Perhaps > 0:
		return []int{c.MaxWorkers}, size
	}
	return []int{c.MaxWorkers, c.MaxWorkers + 1}, size
}

// pageWidth is how wide text is that goes to no terminal.
const pageWidth = 100

// writeAnswer writes sentences, among them those of a capacity, which may be nil: the command that decides it is copied
// in one piece.
func writeAnswer(out io.Writer, answer []string, c *record.Capacity) {
	for _, l := range answer {
		if c != nil && c.Decides != "" && strings.HasSuffix(l, c.Decides) {
			fmt.Fprintln(out, l)
			continue
		}
		writeLine(out, l)
	}
}

// writeLine writes a sentence in lines that fit the terminal, those after the first with an indent.
func writeLine(out io.Writer, text string) {
	const indent = "  "
	width := pageWidth
	if raw := foreign.Raw(out); screen.IsTerminal(raw) {
		width, _ = screen.Size(raw)
	}
	fmt.Fprintln(out, strings.ReplaceAll(screen.Wrap(text, width-len(indent)), "\n", "\n"+indent))
}

func writeCapacity(out io.Writer, c *record.Capacity) {
	writeAnswer(out, c.Answer, c)
	if len(c.At) > 0 {
		heading := "predicted, beside peaks of the run's own trials:"
		if c.GOMEMLIMIT > 0 {
			heading = fmt.Sprintf("predicted with GOMEMLIMIT=%dMiB, beside peaks of the run's own trials:", c.GOMEMLIMIT>>20)
		}
		if c.MaxWorkers == 0 {
			heading = "what the memory model alone would say, which is no answer:"
		}
		fmt.Fprintf(out, "\n%s\n", heading)
	}
	if len(c.At) > 0 {
		counted := "workers"
		if c.Words.InFlight {
			counted = "in flight"
		}
		fmt.Fprintf(out, "%9s  %12s  %-26s  %s\n", counted, "peak", "95 % of peaks", "measured")
	}
	for _, s := range c.At {
		measured := ""
		if s.Measured > 0 {
			measured = units.FormatBytes(s.Measured)
		}
		line := fmt.Sprintf("%9d  %12s  %-26s  %s", s.Workers, units.FormatBytes(s.Peak),
			units.FormatBytes(s.PI95[0])+" to "+units.FormatBytes(s.PI95[1]), measured)
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	fmt.Fprintln(out)
	few := ""
	if c.Fits != nil {
		few = ", few of them"
	}
	for _, v := range c.Verified {
		writeLine(out, fmt.Sprintf("verified: %s with files of %s%s: %s, peak %s", units.Count(v.Workers, "worker"),
			units.FormatBytes(v.FileSize), few, v.Outcome, units.FormatBytes(v.Peak)))
	}
	for _, a := range c.Assumes {
		writeLine(out, "assumes: "+a)
	}
	for _, w := range c.Warnings {
		writeLine(out, "warning: "+w)
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
