// Command replay-study runs the history that memsoak began with through the program soak, and says what held the
// memory. The service that it runs is the program replay.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/replay/study"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	return command.Run(newRoot(), args, stdout, stderr)
}

// flags are those of the command line.
type flags struct {
	bench     study.Bench
	selection study.Selection
	quick     bool
	parts     []string
	page      string
	json      bool
}

// What a replay does by default, and a quick one.
const (
	replayScale           = 16
	replayFree, quickFree = 25 * time.Second, 7 * time.Second
	replayDies            = 25 * time.Second
	replayBudget          = 5 * time.Minute
	replayFile            = "replay.json"
	replayTable           = "replay.html"
)

func newRoot() *cobra.Command {
	var f flags
	cmd := command.Root("replay-study", "Run the history that memsoak began with, and say what held the memory")
	cmd.Long = `Run each version of the service that memsoak began with on corpora that tell its hypotheses apart, each in
a cgroup with its limit inside one that stands for the node, then the remedies that were proposed, the project's own
migrator and rclone; and print in one table what became of them and which hypothesis holds by the recorded verdicts,
the conclusion first.

Sizes are divided by --scale. Corpora are copied to their end, but that of many small files: once it is listed its
memory is decided, and the copy is ended --free after that. A copy that was ended before is inconclusive. With --resume
a replay that was broken off goes on where it was.

With --repeats each version is run so often on the corpus that it was killed on, with --quick on all of a quick replay,
and the table says how often headline, culprit and outcome were the same.

It needs bin/soak, bin/fakedrive, bin/migrator and bin/replay ('make replay-subject' builds them). Where no
memory cgroup can be made outcomes are predicted, and every row says so.`
	cmd.Example = `  replay-study --quick
  replay-study --rows 'v2.4.*' --corpora many-small,few-huge
  replay-study --repeats 5
  replay-study --quick --repeats 5
  replay-study --resume --out soak-results/replay-20261123-214500`
	cmd.RunE = func(c *cobra.Command, _ []string) error { return f.run(c) }
	fl := cmd.Flags()
	fl.IntVar(&f.bench.Scale, "scale", replayScale, "divide sizes by this; 1 is the full size")
	fl.BoolVar(&f.quick, "quick", false, "fewer corpora for most rows, no full size, no study of rclone")
	fl.StringSliceVar(&f.selection.Rows, "rows", nil, "names of rows, as patterns, or groups: version, what-if, migrator")
	fl.StringSliceVar(&f.selection.Corpora, "corpora", nil, "names of corpora (default those of each row)")
	fl.StringSliceVar(&f.parts, "parts", nil,
		"matrix, full-size, rclone (default all, or matrix with --quick, --rows, --corpora or --repeats)")
	fl.DurationVar(&f.bench.Free, "free", 0,
		"how long after all is listed the copy of many small files is ended (default 25s; 7s if quick or with repeats)")
	fl.DurationVar(&f.bench.Budget, "budget", replayBudget,
		"cap of the time for the states before the corpus; no work is cut down to it")
	fl.IntVar(&f.bench.Repeats, "repeats", 1,
		"run each cell so often and count how often headline and culprit are the same")
	fl.BoolVar(&f.bench.Resume, "resume", false,
		"keep what is recorded in --out, or in the newest replay, with the same settings")
	fl.Int64Var(&f.bench.Seed, "seed", 1, "seed of the generated work")
	fl.StringVar(&f.bench.Out, "out", "", "directory of the runs (default soak-results/replay-<time>)")
	fl.StringVar(&f.bench.Soak, "soak", "", "path of the soak program (default bin/soak)")
	fl.StringVar(&f.bench.Fakedrive, "fakedrive", "", "path of the fakedrive program")
	fl.StringVar(&f.page, "page", "", "put the result into this Markdown page, between its marks, with pictures beside it")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON; progress goes to stderr")
	return cmd
}

func (f *flags) run(c *cobra.Command) error {
	if f.bench.Scale < 1 || f.bench.Repeats < 1 || f.bench.Free < 0 || f.bench.Budget <= 0 {
		return exitcode.Usage(fmt.Errorf("--scale %d, --repeats %d, --free %s and --budget %s: want at least 1, 1, 0 and "+
			"more than 0",
			f.bench.Scale, f.bench.Repeats, f.bench.Free, f.bench.Budget))
	}
	free := replayFree
	if f.quick || f.bench.Repeats > 1 {
		free = quickFree
	}
	if f.bench.Free == 0 {
		f.bench.Free, f.bench.Dies = free, replayDies
	}
	if err := f.place(time.Now()); err != nil {
		return exitcode.Usage(err)
	}
	f.selection.Quick = f.quick
	if err := f.choose(); err != nil {
		return exitcode.Usage(err)
	}
	said := c.OutOrStdout()
	if f.json {
		said = c.ErrOrStderr()
	}
	f.bench.Warn = func(text string) { fmt.Fprintln(c.ErrOrStderr(), "warning:", text) }
	res, err := f.bench.Run(c.Context(), f.selection, func(p study.Progress) { sayProgress(said, p) })
	if errors.Is(err, study.ErrSelection) || errors.Is(err, study.ErrWork) {
		return exitcode.Usage(err)
	}
	if res == nil {
		return err
	}
	if err = errors.Join(err, f.print(c, res)); err != nil || f.page == "" {
		return err
	}
	return f.bench.WritePage(c.Context(), res, f.page)
}

// resultsDir is where replays go unless --out says otherwise.
const resultsDir = "soak-results"

// place sets the directory: with --resume the newest replay's.
func (f *flags) place(now time.Time) error {
	if f.bench.Out != "" {
		return nil
	}
	f.bench.Out = filepath.Join(resultsDir, "replay-"+now.Format("20060102-150405"))
	if !f.bench.Resume {
		return nil
	}
	old, err := filepath.Glob(filepath.Join(resultsDir, "replay-2*"))
	if err != nil {
		return err
	}
	if len(old) == 0 {
		return fmt.Errorf("--resume: no replay in %s; say which with --out", resultsDir)
	}
	f.bench.Out = slices.Max(old) // their names are times
	return nil
}

// sayProgress writes a line about a piece that has ended.
func sayProgress(w io.Writer, p study.Progress) {
	kept := ""
	if p.Kept {
		kept = " (kept)"
	}
	left := ""
	if p.N < p.Of {
		left = fmt.Sprintf(", about %s left", p.Left.Round(10*time.Second))
	}
	fmt.Fprintf(w, "[%d/%d%s] %s%s: %s\n", p.N, p.Of, left, p.Name, kept, p.Text)
}

// choose sets the parts: all of them, unless the matrix is cut down in any way. Repeats are of the versions, on the
// corpus that decided about them or on those of a quick replay, unless others are named.
func (f *flags) choose() error {
	s := &f.selection
	whole := !f.quick && len(s.Rows) == 0 && len(s.Corpora) == 0 && f.bench.Repeats == 1
	if f.bench.Repeats > 1 && len(s.Rows) == 0 && len(s.Corpora) == 0 {
		s.Rows = []string{study.Versions}
		if !f.quick {
			s.Corpora = []string{study.Decisive}
		}
	}
	parts := f.parts
	if len(parts) == 0 {
		parts = []string{"matrix"}
		if whole {
			parts = append(parts, "full-size", "rclone")
		}
	}
	by := map[string]*bool{"matrix": &s.Matrix, "full-size": &s.FullSize, "rclone": &s.Rclone}
	for _, p := range parts {
		if by[p] == nil {
			return fmt.Errorf("--parts: no part %q; there are matrix, full-size and rclone", p)
		}
		*by[p] = true
	}
	return nil
}

// print writes the result beside the runs and shows it.
func (f *flags) print(c *cobra.Command, res *study.Result) error {
	if len(res.Cells) == 0 && res.FullSize == nil && res.Rclone == nil {
		if len(res.Skipped) > 0 { // nothing that ran never passes
			return fmt.Errorf("nothing was run: %s", strings.Join(res.Skipped, "; "))
		}
		return nil
	}
	if err := record.Write(filepath.Join(f.bench.Out, replayFile), res); err != nil {
		return err
	}
	where := "make view RUN=" + f.bench.Out
	if len(res.Cells) > 0 {
		table := filepath.Join(f.bench.Out, replayTable)
		if err := res.WriteHTML(table); err != nil {
			return err
		}
		where = table + ", or " + where
	}
	w := c.OutOrStdout()
	if f.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(res)
	}
	fmt.Fprintln(w)
	if err := res.WriteText(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d cells in %s; down to their flame graphs: %s\n", len(res.Cells),
		res.Took.Round(time.Second), where)
	return err
}
