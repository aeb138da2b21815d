package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
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

The process is stopped while it is read, for less than --budget, and goes on afterwards;
nothing in it is changed. The objects are those that its heap profiler sampled. It takes
a program with debug information (no -ldflags=-s or -w), built with a Go release that is
known here (` + strings.Join(holders.Supported, ", ") + `), on linux/amd64 or linux/arm64; for a process, the permission
to trace it (its user and CAP_SYS_PTRACE, or kernel.yama.ptrace_scope=0); for a core, one
that was taken while Go could still be read (gcore, GOTRACEBACK=crash, a kill by SIGABRT).

References are found word by word, so a stale word can make a holder look shared.`,
		Example: `  soak holders --pid 4711
  soak holders --core core.4711 --exe bin/migrator --json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case (o.PID == 0) == (o.Core == ""):
				return exitcode.Usage(errors.New("give either --pid or --core"))
			case o.Core != "" && o.Exe == "":
				return exitcode.Usage(errors.New("--core needs --exe, the program that it is of"))
			case o.PID < 0, o.Budget <= 0:
				return exitcode.Usage(errors.New("--pid and --budget must be above 0"))
			}
			for _, path := range []string{o.Core, o.Exe} {
				if path != "" {
					if err := mustExist(path); err != nil {
						return err
					}
				}
			}
			h, err := holders.Find(c.Context(), o)
			if err != nil {
				return err
			}
			return printHolders(c.OutOrStdout(), h, asJSON)
		},
	}
	f := c.Flags()
	f.IntVar(&o.PID, "pid", 0, "process to stop and read")
	f.StringVar(&o.Core, "core", "", "core file to read instead of a process")
	f.StringVar(&o.Exe, "exe", "", "the program with its debug information (default: the process's own)")
	f.StringVar(&o.Module, "module", "", "module path whose frames may be blamed (default: the program's own)")
	f.DurationVar(&o.Budget, "budget", holders.DefaultBudget, "let the process go on after so long, finished or not")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func printHolders(w io.Writer, h *record.Holders, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(h)
	}
	fmt.Fprintf(w, "%s: %s objects in reach", h.Source, humanize.Comma(int64(h.Objects)))
	if h.Stopped > 0 {
		fmt.Fprintf(w, ", stopped for %s", time.Duration(h.Stopped*float64(time.Second)).Round(time.Millisecond))
	}
	fmt.Fprintln(w)
	for _, s := range h.Sites {
		fmt.Fprintf(w, "\n%s at %s %s:%d (%d sampled objects, most of %s)\n", humanize.IBytes(uint64(s.Bytes)),
			s.Site.Function, s.Site.File, s.Site.Line,
			s.Samples, humanize.IBytes(uint64(s.ObjectSize)))
		switch s.Status {
		case record.HeldUnknown:
			fmt.Fprintln(w, "  not determined: no root holds a clear share")
		case record.HeldByShared:
			fmt.Fprintf(w, "  %.0f %% held by one object that several roots reach\n", 100*s.Share)
		default:
			fmt.Fprintf(w, "  %.0f %% held by\n", 100*s.Share)
		}
		for i, p := range s.Path {
			fmt.Fprintf(w, "  %s%s\n", strings.Repeat("  ", i), p)
		}
		for _, r := range s.Roots {
			fmt.Fprintf(w, "  reached from %s", r.Root)
			if r.Share > 0 {
				fmt.Fprintf(w, ": %.0f %%", 100*r.Share)
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}
