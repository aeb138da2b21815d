package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/figure"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/leftover"
)

// What a sampler costs is less than what two processes that do the same work differ by. So it is switched on and off
// within a process, from one wave of the same work to the next. The order of a block of four is its own mirror image,
// on, off, off, on, so that a drift falls on both alike, and that of the next block is the opposite. Its outer two
// pairs are on against off; its inner two waves are alike, and what they differ by is the noise that all this is seen
// through.
const (
	blockWaves = 4
	warmUps    = 1 // waves of each process that don't count
	wavePrefix = "wave-"
	// waveProgram is what runs the subject of these figures.
	waveProgram = "migrator"
)

// sampled says whether the i-th wave that counts, from 0 on, has the sampler on.
func sampled(i int) bool {
	outer := i%blockWaves == 0 || i%blockWaves == blockWaves-1
	return outer == (i/blockWaves%2 == 0)
}

// wave is what the work of one wave took, in seconds.
type wave struct {
	wall    float64
	subject float64 // CPU time of the subject
	all     float64 // and of the fakes and this process as well
}

// ratios are what waves with the sampler on took more than those with it off, as a share, and second waves of inner
// pairs more than first ones.
type ratios struct{ slowed, control []float64 }

// compare adds the pairs of a process's waves, by the time that of picks.
func (r *ratios) compare(waves []wave, of func(wave) float64) {
	for i := 0; i+blockWaves <= len(waves); i += blockWaves {
		for _, pair := range [][2]int{{i, i + 1}, {i + 3, i + 2}} {
			on, off := pair[0], pair[1]
			if !sampled(on) {
				on, off = off, on
			}
			r.slowed = append(r.slowed, of(waves[on])/of(waves[off])-1)
		}
		r.control = append(r.control, of(waves[i+2])/of(waves[i+1])-1)
	}
}

// overhead measures by how much the sampler slows a subject: the time of the same work, and the CPU time that it took.
func (b *bench) overhead() error {
	var wall, subject, all ratios
	for i := range b.processes {
		waves, err := b.process(fmt.Sprintf("pairs-%d", i))
		if err != nil {
			return err
		}
		wall.compare(waves, func(w wave) float64 { return w.wall })
		subject.compare(waves, func(w wave) float64 { return w.subject })
		all.compare(waves, func(w wave) float64 { return w.all })
	}
	n := fmt.Sprintf(" (median of %d pairs of waves in %d processes)", len(wall.slowed), b.processes)
	slowed := figure.Summarize(wall.slowed)
	b.judged("speed trial, subject slowed by the sampler: time of the same work"+n, "<= 2 %", slowed.Percent(),
		slowed.AtMost(0.02))
	b.row("  control: the same, of waves that are alike", printed, figure.Summarize(wall.control).Percent(), true)
	b.row("  CPU time of the subject for the same work", printed, figure.Summarize(subject.slowed).Percent(), true)
	b.row("  CPU time of subject, fakes and harness for the same work", printed, figure.Summarize(all.slowed).Percent(),
		true)
	return nil
}

// process runs one process of the subject through its blocks of waves and returns what each took.
func (b *bench) process(name string) ([]wave, error) {
	s, err := b.migrator()
	if err != nil {
		return nil, err
	}
	n := warmUps + blockWaves*b.blocks
	c := soak.DefaultConfig()
	c.Trials = []record.TrialKind{record.Speed}
	if c.Corpus, err = b.file("wave.yaml", fmt.Sprintf("files: %d\nsize: 16KiB\n", b.files)); err != nil {
		return nil, err
	}
	if c.Protocol, err = b.file("pairs.yaml", wavesProtocol(n)); err != nil {
		return nil, err
	}
	r, err := b.runner(c, s, name, time.Second)
	if err != nil {
		return nil, err
	}
	r.Unwatched = func(phase string) bool {
		i, err := strconv.Atoi(strings.TrimPrefix(phase, wavePrefix))
		return err == nil && i >= warmUps && !sampled(i-warmUps)
	}
	m := &meter{dir: r.Dir}
	r.Events = m.event
	res, err := r.Run(context.Background())
	if err := errors.Join(err, m.err); err != nil {
		return nil, err
	}
	if t := res.Trials; len(t) != 1 || t[0].Outcome != record.OK || len(m.waves) != n {
		return nil, fmt.Errorf("speed trial %s, %d waves: %v", name, len(m.waves), t)
	}
	return m.waves[warmUps:], nil
}

// wavesProtocol is a protocol of n free runs on the corpus, each of fresh files.
func wavesProtocol(n int) string {
	var b strings.Builder
	b.WriteString("name: pairs\ntrials: [speed]\nspeed:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - {name: %s%d, kind: free}\n", wavePrefix, i)
	}
	return b.String()
}

// file writes a file of the bench and returns its path.
func (b *bench) file(name, text string) (string, error) {
	path := filepath.Join(b.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// meter notes what each wave of a trial takes.
type meter struct {
	dir   string
	pids  map[int]string // processes of the run, by program
	begun time.Time
	at    wave // what had been used then
	waves []wave
	err   error
}

// event receives a runner's progress.
func (m *meter) event(e soak.Event) {
	p, ok := e.(soak.PhaseChanged)
	if !ok {
		return
	}
	if p.Phase.End.IsZero() {
		m.at, m.begun = m.used(), time.Now()
		return
	}
	wall := time.Since(m.begun).Seconds()
	now := m.used()
	m.waves = append(m.waves, wave{wall: wall, subject: now.subject - m.at.subject, all: now.all - m.at.all})
}

// used is the CPU time that the processes of the run and this one have used.
func (m *meter) used() wave {
	if m.pids == nil {
		m.find()
	}
	w := wave{all: ownCPU()}
	for pid, name := range m.pids {
		d, err := cpuTime(pid)
		m.err = errors.Join(m.err, err)
		w.all += d.Seconds()
		if name == waveProgram {
			w.subject += d.Seconds()
		}
	}
	return w
}

// find finds the processes of the run.
func (m *meter) find() {
	m.pids = map[int]string{}
	found := false
	for _, pid := range leftover.Marked(runID(m.dir)) {
		m.pids[pid] = program(pid)
		found = found || m.pids[pid] == waveProgram
	}
	if !found {
		m.err = errors.Join(m.err, errors.New("the subject's process can't be found"))
	}
}
