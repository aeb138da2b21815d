package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"memsoak/profiles/record"
	"memsoak/soak"
	"memsoak/soak/exitcode"
	"memsoak/soak/internal/replay"
)

// replayFlags are the flags of soak replay.
type replayFlags struct {
	bench     replay.Bench
	selection replay.Selection
	quick     bool
	parts     []string
	json      bool
}

// What a replay does by default, and a quick one.
const (
	replayScale           = 16
	replayFree, quickFree = 12 * time.Second, 4 * time.Second
	replayFile            = "replay.json"
)

func newReplayCmd() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Run the history that memsoak began with, and say what held the memory",
		Long: `Run each version of the service that memsoak began with on corpora that tell its hypotheses apart, each in a cgroup with its
limit inside one that stands for the node, then the remedies that were proposed, the project's own migrator and rclone; and
print in one table what became of them and which hypothesis holds by the recorded verdicts.

Sizes are divided by --scale. It needs bin/fakedrive, bin/migrator and bin/replay ('make replay' builds them). Where no
memory cgroup can be made outcomes are predicted, and every row says so.`,
		Example: `  soak replay --quick
  soak replay --rows 'v2.4.*' --corpora many-small,few-huge
  soak replay --rows v2.3.6 --repeats 5`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := cmd.Flags()
	fl.IntVar(&f.bench.Scale, "scale", replayScale, "divide sizes by this; 1 is the full size")
	fl.BoolVar(&f.quick, "quick", false, "copy each corpus for a shorter time, remedies on two corpora and the migrator on one, no full size, no study of rclone")
	fl.StringSliceVar(&f.selection.Rows, "rows", nil, "names of rows, as patterns, or groups: version, what-if, migrator")
	fl.StringSliceVar(&f.selection.Corpora, "corpora", nil, "names of corpora")
	fl.StringSliceVar(&f.parts, "parts", nil, "matrix, full-size, rclone (default all, or matrix with --quick, --rows or --corpora)")
	fl.DurationVar(&f.bench.Free, "free", 0, "how long a corpus is copied at most, one of many files four times as long (default 12s, quick 4s)")
	fl.IntVar(&f.bench.Repeats, "repeats", 1, "run each cell so often and count how often headline and culprit are the same")
	fl.Int64Var(&f.bench.Seed, "seed", 1, "seed of the generated work")
	fl.StringVar(&f.bench.Out, "out", "", "directory of the runs (default soak-results/replay-<time>)")
	fl.StringVar(&f.bench.Fakedrive, "fakedrive", "", "path of the fakedrive program")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON; progress goes to stderr")
	return cmd
}

func (f *replayFlags) run(c *cobra.Command) error {
	if f.bench.Scale < 1 || f.bench.Repeats < 1 || f.bench.Free < 0 {
		return exitcode.Usage(fmt.Errorf("--scale %d, --repeats %d and --free %s: want at least 1, 1 and 0", f.bench.Scale, f.bench.Repeats, f.bench.Free))
	}
	free := replayFree
	if f.quick {
		free = quickFree
	}
	f.bench.Free = cmp.Or(f.bench.Free, free)
	if f.bench.Out == "" {
		f.bench.Out = filepath.Join("soak-results", "replay-"+time.Now().Format("20060102-150405"))
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
	res, err := f.bench.Run(c.Context(), f.selection, func(n, of int, cell *replay.Cell) {
		fmt.Fprintf(said, "[%d/%d] %s, %s: %s: %s\n", n, of, cell.Row, cell.Corpus, cell.OutcomeText(), cell.Holds)
	})
	if errors.Is(err, replay.ErrSelection) || errors.Is(err, soak.ErrConfig) {
		return exitcode.Usage(err)
	}
	if res == nil {
		return err
	}
	return errors.Join(err, f.print(c, res))
}

// choose sets the parts: all of them, unless the matrix is cut down in any way.
func (f *replayFlags) choose() error {
	parts := f.parts
	if len(parts) == 0 {
		parts = []string{"matrix"}
		if !f.quick && len(f.selection.Rows) == 0 && len(f.selection.Corpora) == 0 {
			parts = append(parts, "full-size", "rclone")
		}
	}
	by := map[string]*bool{"matrix": &f.selection.Matrix, "full-size": &f.selection.FullSize, "rclone": &f.selection.Rclone}
	for _, p := range parts {
		if by[p] == nil {
			return fmt.Errorf("--parts: no part %q; there are matrix, full-size and rclone", p)
		}
		*by[p] = true
	}
	return nil
}

// print writes the result beside the runs and shows it.
func (f *replayFlags) print(c *cobra.Command, res *replay.Result) error {
	if len(res.Cells) == 0 && res.FullSize == nil && res.Rclone == nil {
		return nil
	}
	if err := record.Write(filepath.Join(f.bench.Out, replayFile), res); err != nil {
		return err
	}
	w := c.OutOrStdout()
	if f.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", " ")
		return enc.Encode(res)
	}
	fmt.Fprintln(w)
	if err := res.WriteMarkdown(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d cells in %s; all of them: make view RUN=%s\n", len(res.Cells), res.Took.Round(time.Second), f.bench.Out)
	return err
}
