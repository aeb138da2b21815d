// Command harness measures what measuring costs: how much the sampler slows a subject, what an attribution trial costs
// it, how much CPU the runner takes, how long a cell lasts, and whether anything grows or is left over many trials. It
// prints a table with the figure asked for beside the figure measured, and exits 1 when one is missed, 3 when the noise
// of the machine hides one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/figure"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/leftover"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

func main() {
	testsubject.Main()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

type bench struct {
	bin, dir             string
	pairs, cells, trials int
	processes, blocks    int // of pairs of waves
	files                int // of a wave
	beside               int
	only, profile        string
	specimens            string
	out                  *tabwriter.Writer
	missed, untold       int
}

// parts are the parts of the measurement, in this order.
var parts = []string{"pairs", "peaks", "cells", "trials", "beside"}

func run(args []string, stdout, stderr io.Writer) int {
	b := &bench{out: tabwriter.NewWriter(stdout, 0, 4, 2, ' ', 0)}
	fl := flag.NewFlagSet("harness", flag.ContinueOnError)
	fl.SetOutput(stderr)
	fl.StringVar(&b.bin, "bin", "bin", "directory of soak, fakedrive and migrator")
	fl.IntVar(&b.processes, "processes", 21, "processes of the subject that do waves of the same work, sampler on and off")
	fl.IntVar(&b.blocks, "blocks", 4, "blocks of four such waves in each")
	fl.IntVar(&b.files, "files", 6000, "files of such a wave")
	fl.IntVar(&b.pairs, "pairs", 8, "pairs of speed trials, sampler on and off")
	fl.IntVar(&b.cells, "cells", 3, "cells of the default protocol")
	fl.IntVar(&b.trials, "trials", 500, "trials of the simulated subject")
	fl.IntVar(&b.beside, "beside", 20, "trials of specimens that run one by one, and as many two beside each other")
	fl.StringVar(&b.specimens, "specimens", "soak/specimens/subject.yaml", "subject file of the specimens")
	fl.StringVar(&b.only, "only", "", "measure this part alone: "+strings.Join(parts, ", "))
	fl.StringVar(&b.profile, "cpuprofile", "", "file for a CPU profile of the runner over the cells")
	if fl.Parse(args) != nil {
		return exitcode.UsageError
	}
	if b.only != "" && !slices.Contains(parts, b.only) || min(b.processes, b.blocks, b.files, b.pairs, b.cells,
		b.trials, b.beside) < 1 {
		fmt.Fprintf(stderr, "harness: -only is one of %s, and there is at least one of each\n", strings.Join(parts, ", "))
		return exitcode.UsageError
	}
	dir, err := os.MkdirTemp("", "memsoak-bench-")
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitcode.Error
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	fmt.Fprintln(b.out, "figure\tasked\tmeasured\t")
	for _, part := range []struct {
		name, what string
		measure    func() error
	}{
		{"pairs", fmt.Sprintf("%d processes with %d waves each, with the sampler and without", b.processes,
			blockWaves*b.blocks), b.overhead},
		{"peaks", fmt.Sprintf("%d pairs of speed trials, with the sampler and without", b.pairs), b.peaks},
		{"cells", fmt.Sprintf("%d cells of the default protocol", b.cells), b.ofCells},
		{"trials", fmt.Sprintf("%d trials of a simulated subject", b.trials), b.many},
		{"beside", fmt.Sprintf("%d trials one by one and two beside each other", b.beside), b.ofBeside},
	} {
		if b.only != "" && b.only != part.name {
			continue
		}
		fmt.Fprintf(stderr, "measuring %s ...\n", part.what)
		err = errors.Join(err, part.measure())
	}
	b.out.Flush()
	if err != nil {
		fmt.Fprintln(stderr, "harness:", err)
	}
	switch {
	case err != nil || b.missed > 0:
		return exitcode.Error
	case b.untold > 0:
		return exitcode.Inconclusive
	}
	return exitcode.OK
}

// printed stands in place of the goal where a figure is only shown and has no limit.
const printed = "printed"

// row prints a figure that is exact enough to be judged as it is.
func (b *bench) row(name, asked, measured string, ok bool) {
	v := figure.Missed
	if ok {
		v = figure.Met
	}
	b.judged(name, asked, measured, v)
}

// judged prints a figure and how it compares with its goal.
func (b *bench) judged(name, asked, measured string, v figure.Verdict) {
	mark := v.String()
	switch {
	case asked == printed:
		mark = ""
	case v == figure.Missed:
		b.missed++
	case v == figure.Untold:
		b.untold++
	}
	fmt.Fprintf(b.out, "%s\t%s\t%s\t%s\n", name, asked, measured, mark)
}

func (b *bench) runner(c soak.Config, s *subject.Spec, name string, every time.Duration) (*soak.Runner, error) {
	p, err := soak.NewPlanFor(s, c, soak.Shard{})
	if err != nil {
		return nil, err
	}
	return &soak.Runner{Plan: p, Dir: filepath.Join(b.dir, name), Every: every,
		Fakedrive: filepath.Join(b.bin, "fakedrive"), Soak: filepath.Join(b.bin, "soak")}, nil
}

func (b *bench) migrator() (*subject.Spec, error) {
	s, err := soak.LoadSubject("migrator")
	if err != nil {
		return nil, err
	}
	s.Command[0] = filepath.Join(b.bin, "migrator")
	return s, nil
}

// speed runs one speed trial over many files, so that it lasts for several samples.
func (b *bench) speed(name string, every time.Duration) (soak.TrialEnded, error) {
	s, err := b.migrator()
	if err != nil {
		return soak.TrialEnded{}, err
	}
	c := soak.DefaultConfig()
	c.Trials = []record.TrialKind{record.Speed}
	if c.Corpus, err = b.file("many.yaml", "files: 12000\nsize: 16KiB\n"); err != nil {
		return soak.TrialEnded{}, err
	}
	r, err := b.runner(c, s, name, every)
	if err != nil {
		return soak.TrialEnded{}, err
	}
	res, err := r.Run(context.Background())
	if err != nil || len(res.Trials) != 1 || res.Trials[0].Outcome != record.OK {
		return soak.TrialEnded{}, fmt.Errorf("speed trial %s: %v %w", name, res.Trials, err)
	}
	return res.Trials[0], nil
}

// peaks compares the peak memory of whole speed trials, by pairs in turns.
func (b *bench) peaks() error {
	var raised []float64
	for i := range b.pairs {
		peak := map[bool]int64{}
		for _, on := range []bool{i%2 == 0, i%2 != 0} {
			every := time.Second
			if !on {
				every = -1
			}
			t, err := b.speed(fmt.Sprintf("peak-%d-%t", i, on), every)
			if err != nil {
				return err
			}
			peak[on] = t.Peak.RSS
		}
		raised = append(raised, float64(peak[true]-peak[false])/(1<<20))
	}
	v := figure.Summarize(raised)
	b.judged(fmt.Sprintf("speed trial, peak RSS raised by the sampler (median of %d pairs of trials)", b.pairs),
		"<= 4 MiB", v.Mebibytes(), v.AtMost(4))
	return nil
}

const tiny = `
name: tiny
trials: [speed]
speed:
  - {name: free, kind: free}
`

// many runs a simulated subject very often and looks at what grows and at the leftovers.
func (b *bench) many() error {
	protocol, corpus := filepath.Join(b.dir, "tiny.yaml"), filepath.Join(b.dir, "five.yaml")
	if err := errors.Join(os.WriteFile(protocol, []byte(tiny), 0o644), os.WriteFile(corpus,
		[]byte("files: 5\nsize: 1000\n"), 0o644)); err != nil {
		return err
	}
	c := soak.DefaultConfig()
	c.Protocol, c.Corpus, c.Repeats, c.Set = protocol, corpus, b.trials, soak.Cell{"workers": "2"}
	r, err := b.runner(c, testsubject.Spec(testsubject.OK), "many", time.Second)
	if err != nil {
		return err
	}
	fds := openFiles()
	var early, late uint64
	r.Events = func(e soak.Event) {
		if t, ok := e.(soak.TrialEnded); ok && (t.N == b.trials/10 || t.N == b.trials) {
			debug.FreeOSMemory()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if t.N == b.trials {
				late = m.HeapAlloc
			} else {
				early = m.HeapAlloc
			}
		}
	}
	res, err := r.Run(context.Background())
	if err != nil {
		return err
	}
	for _, t := range res.Trials {
		if t.Outcome != record.OK {
			return fmt.Errorf("trial %d of the simulated subject: %s: %s", t.Index, t.Outcome, t.Reason)
		}
	}
	grown := (float64(late) - float64(early)) / (1 << 20)
	b.row(fmt.Sprintf("runner's live heap, trial %d against %d", b.trials, b.trials/10), "flat (< 2 MiB)",
		fmt.Sprintf("%+.2f MiB", grown), grown < 2)
	id := runID(r.Dir)
	left := []string{
		fmt.Sprintf("%d descriptors", max(0, openFiles()-fds)), fmt.Sprintf("%d processes", len(leftover.Marked(id))),
		fmt.Sprintf("%d cgroups", count("/sys/fs/cgroup", id)), fmt.Sprintf("%d temporary files", count(os.TempDir(), id)),
	}
	none := !slices.ContainsFunc(left, func(s string) bool { return !strings.HasPrefix(s, "0 ") })
	b.row(fmt.Sprintf("left after %d trials", b.trials), "nothing", strings.Join(left, ", "), none)
	return nil
}

func runID(dir string) string {
	run, err := record.ReadRun(dir)
	if err != nil {
		return "unknown"
	}
	return run.ID
}

// count counts the entries below dir whose name has the run's id.
func count(dir, id string) int {
	n := 0
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error { // what can't be read isn't ours
		if err == nil && strings.Contains(d.Name(), id) {
			n++
		}
		return nil
	})
	return n
}

func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
