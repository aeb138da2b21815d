package main

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// besideSpecimens are subjects of each class and healthy ones, of which trials run one by one and beside each other.
var besideSpecimens = []string{"leak-map", "leak-bytes", "file-readall", "conn-notclosed", "meta-list", "cache-lru",
	"file-chunks", "leak-context", "ok-plain", "ok-pool"}

// wide is from how many processors on a matrix of 45 cells is to take a quarter of its time in series.
const wide = 8

// ofBeside runs the same trials one by one and two beside each other, and compares their verdicts; and a matrix of 45
// cells, where there are processors enough.
func (b *bench) ofBeside() error {
	s, err := soak.LoadSubject(b.specimens)
	if err != nil {
		return err
	}
	s.Command[0] = filepath.Join(b.bin, "specimens")
	c := soak.DefaultConfig()
	c.Corpus, c.Protocol, c.Trials, c.Design = "tiny", "quick", []record.TrialKind{record.Attribution}, soak.Full
	c.Set = map[string]string{"workers": "4"}
	c.Axes = soak.Axes{{Name: "specimen", Values: besideSpecimens[:min(b.beside, len(besideSpecimens))]}}
	c.Repeats = max(1, b.beside/len(besideSpecimens))
	if err := b.alike(c, s); err != nil {
		return err
	}
	return b.ofMatrix()
}

// besideRun is a run's verdicts by trial, and what it took.
type besideRun struct {
	said  map[string]string
	lanes []string
	why   string // there are none
	took  time.Duration
}

// parallel runs a configuration with so many trials beside each other.
func (b *bench) parallel(c soak.Config, s *subject.Spec, name string, n int) (besideRun, error) {
	run := besideRun{said: map[string]string{}}
	r, err := b.runner(c, s, name, time.Second)
	if err != nil {
		return run, err
	}
	r.Parallel = n
	r.Judge = func(dir string) (*record.Verdict, error) { return profiles.DiagnoseTrial(dir, profiles.Options{}) }
	r.Events = func(e soak.Event) {
		switch e := e.(type) {
		case soak.RunStarted:
			run.lanes = e.Lanes
		case soak.Warned:
			run.why = e.Text
		case soak.TrialEnded:
			run.said[e.Dir] = fmt.Sprint(e.Outcome, " ", e.Headline)
		}
	}
	begun := time.Now()
	_, err = r.Run(context.Background())
	run.took = time.Since(begun)
	return run, err
}

// alike compares verdicts by A/A: a difference is the trials' beside each other only where two runs one by one agree.
func (b *bench) alike(c soak.Config, s *subject.Spec) error {
	what := fmt.Sprintf("verdicts of %d trials two beside each other as of those one by one",
		c.Repeats*len(c.Axes[0].Values))
	one, err := b.parallel(c, s, "beside-1", 1)
	if err != nil {
		return err
	}
	two, err := b.parallel(c, s, "beside-2", 2)
	if err != nil {
		return err
	}
	if len(two.lanes) < 2 {
		b.unmeasured(what, "all", two.why)
		return nil
	}
	var differ []string
	for dir, said := range one.said {
		if two.said[dir] != said {
			differ = append(differ, fmt.Sprintf("%s: %s, beside %s", dir, said, two.said[dir]))
		}
	}
	slices.Sort(differ)
	n := len(one.said)
	b.row(what, "all", fmt.Sprintf("%d of %d%s", n-len(differ), n, listed(differ)), len(differ) == 0)
	b.row(fmt.Sprintf("time of those trials on %d processors, two beside each other / one by one", runtime.NumCPU()),
		printed, fmt.Sprintf("%.2f (%.0f s, %.0f s)", two.took.Seconds()/one.took.Seconds(), two.took.Seconds(),
			one.took.Seconds()), true)
	return nil
}

func listed(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, "; ") + ")"
}

// ofMatrix times 45 cells of the migrator one by one and beside each other.
func (b *bench) ofMatrix() error {
	const what, asked = "45 cells beside each other / one by one", "<= 0.25"
	if runtime.NumCPU() < wide {
		b.unmeasured(what, asked, fmt.Sprintf("%d processors, needs %d", runtime.NumCPU(), wide))
		return nil
	}
	s, err := b.migrator()
	if err != nil {
		return err
	}
	c := soak.DefaultConfig()
	c.Protocol, c.Trials, c.Design = "quick", []record.TrialKind{record.Attribution}, soak.Full
	c.Axes = soak.Axes{{Name: "workers", Values: []string{"1", "3", "10", "25", "50"}},
		{Name: "gomemlimit", Values: []string{"off", "512MiB", "1800MiB"}}, {Name: "pool", Values: []string{"4", "16", "40"}}}
	one, err := b.parallel(c, s, "cells-1", 1)
	if err != nil {
		return err
	}
	many, err := b.parallel(c, s, "cells-auto", soak.Auto)
	if err != nil {
		return err
	}
	if len(many.lanes) < 2 {
		b.unmeasured(what, asked, many.why)
		return nil
	}
	ratio := many.took.Seconds() / one.took.Seconds()
	b.row(what, asked, fmt.Sprintf("%.2f (%.0f s, %.0f s, %d beside each other)", ratio, many.took.Seconds(),
		one.took.Seconds(), len(many.lanes)), ratio <= 0.25)
	return nil
}

// unmeasured prints a figure that can't be measured here.
func (b *bench) unmeasured(what, asked, why string) {
	fmt.Fprintf(b.out, "%s\t%s\tnot measured: %s\t\n", what, asked, why)
}
