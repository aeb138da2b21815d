package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/holders"
)

func newHoldersCmd() *cobra.Command {
	var o holders.Options
	var asJSON bool
	c := &cobra.Command{
		Use:   "holders {--pid PID | --core FILE --exe BINARY}",
		Short: "Say who holds the live objects of a process or a core: the path from a root",
		Long: `Say who holds the live objects of a Go process or a core: for each allocation site the
package variable, goroutine or finalizer without which its objects would be garbage,
and the path of references from there.

The process is stopped while what can have references is copied, and runs again while the
copy is judged; nothing in it is changed. The bounds are said before: of the stop 2 s for each
GiB of its resident memory, or --budget; of the copy and its analysis half of the memory that
is available, or --memory. The objects are those that its heap profiler sampled. It takes
a program with debug information (no -ldflags=-s or -w), built with a Go release that is
known here (` + strings.Join(holders.Supported, ", ") + `), on linux/amd64 or linux/arm64; for a process, the permission
to trace it (its user and CAP_SYS_PTRACE, or kernel.yama.ptrace_scope=0); for a core, one
that was taken while Go could still be read (gcore, GOTRACEBACK=crash, a kill by SIGABRT).

References are found word by word, so a stale word can make a holder look shared.`,
		Example: `  soak holders --pid 4711
  soak holders --core core.4711 --exe bin/migrator --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return findHolders(c, o, asJSON) },
	}
	f := c.Flags()
	f.IntVar(&o.PID, "pid", 0, "process to stop and read")
	f.StringVar(&o.Core, "core", "", "core file to read instead of a process")
	f.StringVar(&o.Exe, "exe", "", "the program with its debug information (default: the process's own)")
	f.StringVar(&o.Module, "module", "", "module path whose frames may be blamed (default: the program's own)")
	f.DurationVar(&o.Budget, "budget", 0,
		"let the process go on after so long, copied or not (default: 2s for each GiB of its memory; a core: no bound)")
	f.Var((*units.Bytes)(&o.Memory), "memory",
		"bound of the copy and its analysis, such as 4GiB (default: half of the available memory)")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// findHolders checks the flags, and prints who holds the objects.
func findHolders(c *cobra.Command, o holders.Options, asJSON bool) error {
	switch {
	case (o.PID == 0) == (o.Core == ""):
		return exitcode.Usage(errors.New("give either --pid or --core"))
	case o.Core != "" && o.Exe == "":
		return exitcode.Usage(errors.New("--core needs --exe, the program that it is of"))
	case c.Flags().Changed("budget") && o.Budget == 0:
		return exitcode.Usage(errors.New("--budget must be above 0"))
	}
	for _, path := range []string{o.Core, o.Exe} {
		if path != "" {
			if err := mustExist(path); err != nil {
				return err
			}
		}
	}
	tell(&o, c.ErrOrStderr())
	h, err := holders.Find(c.Context(), o)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w; --budget gives it longer", err)
	}
	if err != nil {
		return err
	}
	return printHolders(c.OutOrStdout(), h, asJSON)
}

// sayAfter is from when on the steps of the analysis are said.
const sayAfter = 2 * time.Second

// tell says the bounds of the stop beforehand, and the steps of a long analysis.
func tell(o *holders.Options, w io.Writer) {
	begun := time.Now()
	o.Announce = func(resident int64, atMost time.Duration, memory int64) {
		fmt.Fprintf(w, "process %d (%s resident) is stopped for at most %s and then runs again; "+
			"copy and analysis take at most %s\n", o.PID, units.FormatBytes(resident), atMost,
			units.FormatBytes(memory))
	}
	o.Progress = func(step string) {
		if d := time.Since(begun); d >= sayAfter {
			fmt.Fprintf(w, "%s: %s\n", d.Round(time.Second), step)
		}
	}
}

func printHolders(w io.Writer, h *record.Holders, asJSON bool) error {
	if asJSON {
		return printJSON(w, h)
	}
	fmt.Fprintf(w, "%s: %s objects in reach", h.Source, units.Comma(int64(h.Objects)))
	if h.Stopped > 0 {
		fmt.Fprintf(w, ", stopped for %s to copy %s",
			time.Duration(h.Stopped*float64(time.Second)).Round(time.Millisecond), units.FormatBytes(h.Copied))
	}
	fmt.Fprintln(w)
	var few []record.HeldSite
	for _, s := range h.Sites {
		if s.Samples == 1 && s.Bytes >= 2*s.ObjectSize { // one object stands for many
			few = append(few, s)
			continue
		}
		printHeldSite(w, &s)
	}
	printFew(w, few)
	return nil
}

func printHeldSite(w io.Writer, s *record.HeldSite) {
	fmt.Fprintf(w, "\n%s at %s %s:%d (%s, most of %s)\n", units.FormatBytes(int64(s.Bytes)), s.Site.Function, s.Site.File,
		s.Site.Line, units.Count(s.Samples, "sampled object"), units.FormatBytes(int64(s.ObjectSize)))
	fmt.Fprintf(w, "  %s\n", heldBy(s))
	for i, p := range s.Path {
		fmt.Fprintf(w, "  %s%s\n", strings.Repeat("  ", i+1), p)
	}
	if s.Garbage >= leastGarbage {
		fmt.Fprintf(w, "  %.0f %% is garbage that the collector has not freed yet: no root reaches it\n", 100*s.Garbage)
	}
	for _, r := range s.Roots {
		fmt.Fprintf(w, "  reached from %s", r.Root)
		if r.Share > 0 {
			fmt.Fprintf(w, ": %.0f %%", 100*r.Share)
		}
		fmt.Fprintln(w)
	}
}

// leastGarbage is the share of a site from which on garbage is worth a line.
const leastGarbage = 0.05

// heldBy is the answer for a site in one line: what a person knows comes first.
func heldBy(s *record.HeldSite) string {
	holder := ""
	if len(s.Path) > 0 {
		holder = cmp.Or(s.Holder, s.Path[0])
	}
	each := ""
	if s.Each > 0 {
		function, _, _ := strings.Cut(s.Path[0], " (")
		each = fmt.Sprintf("%d per goroutine: %s of %s in %s %s, held by %s", s.Each,
			units.Comma(int64(s.Each*s.Goroutines)), units.FormatBytes(int64(s.ObjectSize)),
			units.Comma(int64(s.Goroutines)), function, holder)
	}
	switch {
	case each != "":
		return each
	case s.Status == record.HeldByRoot:
		return fmt.Sprintf("%.0f %% held by %s", 100*s.Share, holder)
	case s.Status == record.HeldByShared:
		return fmt.Sprintf("%.0f %% held by %s, which several roots reach", 100*s.Share, holder)
	case s.Garbage >= 0.5:
		return "not determined: most of it is garbage"
	}
	return "not determined: no root holds a clear share"
}

// printFew folds the sites of which one object was sampled: one draw says neither how much it is nor who holds it.
func printFew(w io.Writer, few []record.HeldSite) {
	if len(few) == 0 {
		return
	}
	var bytes int64
	var names []string
	for _, s := range few {
		bytes += s.Bytes
		names = append(names, fmt.Sprintf("%s:%d", s.Site.Function, s.Site.Line))
	}
	fmt.Fprintf(w, "\n%s with one sampled object each, %s by estimate, too few to say more (--json has them):\n",
		units.Count(len(few), "site"), units.FormatBytes(int64(bytes)))
	for _, n := range names {
		fmt.Fprintf(w, "  %s\n", n)
	}
}
