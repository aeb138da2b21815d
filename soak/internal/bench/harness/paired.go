package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"

	"memsoak/profiles/record"
	"memsoak/soak"
	"memsoak/soak/internal/leftover"
	"memsoak/soak/internal/subject"
)

// The waves of one process. The sampler is on and off by turns within a process, since two processes that do the same
// work differ by more than what is looked for. The order of a block is that of its mirror image, so that what drifts
// falls on both alike, and every other block begins with the other.
const (
	block   = 4 // waves: on, off, off, on; the next: off, on, on, off
	between = 2 // blocks of a process
	warmUps = 1 // waves that are thrown away
)

// on says whether wave i, warm-ups not counted, has the sampler on.
func on(i int) bool {
	inner := i%block == 1 || i%block == 2
	return inner == (i/block%2 == 1)
}

// wave is what one wave of equal work cost.
type wave struct {
	seconds float64
	subject float64 // CPU seconds
	own float64
	all     float64 // CPU seconds of subject, fakes and harness
}

// meter follows the phases of a trial and notes what each wave costs.
type meter struct {
	dir   string
	pids  map[int]string
	begun time.Time
	at    wave
	waves []wave
	err   error
}

// event notes what has been used at a wave's beginning, and at its end the difference.
func (m *meter) event(e soak.Event) {
	switch e := e.(type) {
	case soak.PhaseChanged:
		if !strings.HasPrefix(e.Phase.Name, wavePrefix) {
			return
		}
		now := m.used()
		if e.Phase.End.IsZero() {
			m.at, m.begun = now, time.Now()
			return
		}
		m.waves = append(m.waves, wave{
			seconds: time.Since(m.begun).Seconds(), subject: now.subject - m.at.subject, all: now.all - m.at.all, own: now.own-m.at.own,
		})
	case soak.TrialStarted:
		m.pids, m.waves = nil, nil
	}
}

// used is the CPU time that the processes of the run have used.
func (m *meter) used() wave {
	if m.pids == nil {
		m.pids = map[int]string{}
		for _, pid := range leftover.Marked(runID(m.dir)) {
			m.pids[pid] = program(pid)
		}
	}
	w := wave{all: ownCPU(), own: ownCPU()}
	for pid, name := range m.pids {
		d, err := cpuTime(pid)
		m.err = errors.Join(m.err, err)
		w.all += d.Seconds()
		if name == "migrator" {
			w.subject += d.Seconds()
		}
	}
	return w
}

const wavePrefix = "wave-"

func waveName(i int) string { return fmt.Sprintf("%s%d", wavePrefix, i) }

// paired runs a process of the subject through blocks of waves.
func (b *bench) paired(name string, flip bool) ([]wave, error) {
	s, err := b.migrator()
	if err != nil {
		return nil, err
	}
	spec, protocol := filepath.Join(b.dir, "wave.yaml"), filepath.Join(b.dir, "pairs.yaml")
	var text strings.Builder
	text.WriteString("name: pairs\ntrials: [speed]\nspeed:\n")
	n := warmUps + block*between
	for i := range n {
		fmt.Fprintf(&text, "  - {name: %s, kind: free}\n", waveName(i))
	}
	err = errors.Join(os.WriteFile(spec, fmt.Appendf(nil, "files: %d\nsize: 16KiB\n", b.files), 0o644), os.WriteFile(protocol, []byte(text.String()), 0o644))
	if err != nil {
		return nil, err
	}
	c := soak.DefaultConfig()
	c.Corpus, c.Protocol, c.Trials = spec, protocol, []record.TrialKind{record.Speed}
	r, err := b.runner(c, s, name, time.Second)
	if err != nil {
		return nil, err
	}
	r.Unwatched = func(phase string) bool {
		var i int
		_, err := fmt.Sscanf(phase, wavePrefix+"%d", &i)
		return err == nil && i >= warmUps && on(i-warmUps) == flip
	}
	m := &meter{dir: r.Dir}
	r.Events = m.event
	res, err := r.Run(context.Background())
	if err := errors.Join(err, m.err); err != nil {
		return nil, err
	}
	if t := res.Trials; len(t) != 1 || t[0].Outcome != record.OK || len(m.waves) != n {
		return nil, fmt.Errorf("speed trial %s: %v", name, t)
	}
	return m.waves[warmUps:], nil
}

var _ = subject.Spec{}
var _ = benchmath.AssumeNothing
