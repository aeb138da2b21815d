package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/leftover"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

// Runner carries out a plan. Set its fields before Run; one Runner runs once.
type Runner struct {
	Plan *Plan
	// Dir is the run's directory; it must be empty or absent unless Resume is set.
	Dir    string
	Resume bool
	// Fakedrive and Soak are the paths of the programs that serve the fakes; empty ones are looked for next to this
	// program, in bin/ and on PATH.
	Fakedrive, Soak string
	// Every is the time between samples, a second when 0; below 0 nothing is sampled between phases.
	Every time.Duration
	// Unwatched says of a phase, by its name, that nothing is sampled in it: so is measured what sampling costs. Nil
	// samples in all.
	Unwatched func(phase string) bool
	// Parallel is how many attribution trials run beside each other, each with processors, a cgroup and fakes of its own:
	// 0 and 1 for one at a time, Auto for as many as memory and processors allow. All other trials run alone.
	Parallel int
	// WhoHolds has each attribution trial end with a look at who holds what (holders.json).
	WhoHolds bool
	// Judge makes the verdict of a trial's directory, nil for none. Its errors become warnings.
	Judge func(trialDir string) (*record.Verdict, error)
	// Halt is asked after each trial whether the run shall end here: its error ends it, as interrupted. Nil never does.
	Halt func(TrialEnded) error
	// Events is called with progress, one event at a time; may be nil.
	Events func(Event)

	mu     sync.Mutex // of Events
	noting sync.Mutex // of run and of the tally
	build  sync.Mutex // of built
	lanes  []string   // processors of trials that run beside each other; empty for one at a time
	run    *record.Run
	parent *cgroup.Parent
	whyNot string // why there is no cgroup
	fakes  fakes.Options
	built  map[string]*subject.Spec // by revision
}

// Result is what a run came to. The record itself is in Dir.
type Result struct {
	Dir         string
	Trials      []TrialEnded // of this process; trials kept from before are in run.json only
	Interrupted bool
}

// ErrNothingRan is returned when every trial of a run failed before its subject was ready.
var ErrNothingRan = errors.New("no subject got ready")

// Run carries out the plan. An OOM kill and every other outcome of a trial is a result; the error is for what keeps
// trials from being made: a directory in use, missing programs, a full disk, a cancelled context. The result is never
// nil, and the recording so far is complete in Dir.
func (r *Runner) Run(ctx context.Context) (*Result, error) {
	res := &Result{Dir: r.Dir}
	begun := time.Now()
	done, err := r.prepare()
	if err != nil {
		return res, err
	}
	lease, err := leftover.Take(r.run.ID)
	if err != nil {
		return res, err
	}
	defer lease.Release()
	r.openCgroup(lease)
	defer r.closeCgroup()
	var serial string
	r.lanes, serial = r.Plan.lanes(r.Parallel, r.parent != nil, thisMachine())
	r.emit(RunStarted{
		Dir: r.Dir, Plan: r.Plan, Run: r.run.ID, Subject: r.run.Subject, Corpus: r.run.Corpus, Design: r.Plan.Config.Design,
		Protocol: r.run.Protocol,
		Cells:    len(r.run.Status), Trials: len(r.Plan.Trials), Done: len(done), Estimate: r.Plan.Total(),
		Limit: r.run.Limit, Isolated: r.run.Host.Cgroup, Lanes: r.lanes,
	})
	if serial != "" {
		r.warn(serial)
	}
	for _, w := range append(r.Plan.Warnings, lease.Warnings...) {
		r.warn(w)
	}
	if r.whyNot != "" {
		r.warn("no memory limit: " + r.whyNot + "; trials run without one and the report says so")
	}
	err = r.trials(ctx, lease, done, res)
	res.Interrupted = ctx.Err() != nil
	if r.run.Interrupted = err != nil; r.run.Ended.IsZero() { // a run that was complete ended before
		r.run.Ended = time.Now()
	}
	if werr := record.Write(filepath.Join(r.Dir, record.RunFile), r.run); err == nil {
		err = werr
	}
	r.emit(RunEnded{Dir: r.Dir, Done: r.finished(), Of: len(r.Plan.Trials), Took: time.Since(begun),
		Interrupted: r.run.Interrupted})
	return res, err
}

// tally is what the trials of this process came to so far. Runner.noting guards it.
type tally struct {
	res      *Result
	ready    int
	notReady error
}

// trials runs the steps that are not done.
func (r *Runner) trials(ctx context.Context, lease *leftover.Lease, done map[string]bool, res *Result) error {
	t := &tally{res: res, ready: len(done)}
	for _, group := range r.groups(done) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.beside(ctx, lease, group, t); err != nil {
			return err
		}
	}
	if t.ready == 0 && t.notReady != nil {
		return fmt.Errorf("%w: %w", ErrNothingRan, t.notReady)
	}
	return nil
}

// step runs a trial on some of the processors, "" for all, and notes what it came to.
func (r *Runner) step(ctx context.Context, lease *leftover.Lease, s pending, cpus string, t *tally) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ended, err := r.trial(ctx, lease, s.Step, s.n, cpus)
	r.noting.Lock()
	defer r.noting.Unlock()
	t.res.Trials = append(t.res.Trials, ended)
	if werr := r.note(ended); werr != nil && err == nil {
		err = werr
	}
	r.emit(ended)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		t.ready++
		if r.Halt != nil {
			return r.Halt(ended)
		}
	case ended.Outcome != "": // the subject never got ready: others may
		t.notReady = err
	default:
		return err
	}
	return nil
}

// trial runs one step and has it judged.
func (r *Runner) trial(ctx context.Context, lease *leftover.Lease, s Step, n int, cpus string) (TrialEnded, error) {
	ref := TrialRef{Cell: s.Cell, Kind: s.Kind, Index: s.Index, N: n, Of: len(r.Plan.Trials)}
	r.emit(TrialStarted{TrialRef: ref, Estimate: r.Plan.Estimate(s)})
	dir := filepath.Join(r.Dir, filepath.FromSlash(s.Dir()))
	end := TrialEnded{TrialRef: ref, Dir: s.Dir()}
	name := r.Plan.Config.Corpus
	if v := s.Settings["corpus"]; v != "" {
		name = v
	}
	corpus, err := loadCorpus(name)
	if err != nil {
		return end, err
	}
	spec, err := r.subject(ctx, lease, s.Settings["subject_ref"])
	if err != nil {
		return end, err
	}
	begun := time.Now()
	parent, whyNot := r.parent, r.whyNot
	if spec.Attach != nil {
		parent, whyNot = nil, "memsoak did not start it"
	}
	t, err := trial.Run(ctx, trial.Options{
		Dir: dir, Kind: s.Kind, Cell: s.Cell, Settings: s.Settings, Index: s.Index, Seed: r.Plan.Config.Seed,
		Subject: spec, Protocol: r.Plan.Protocol, Fakes: r.fakes, Corpus: corpus,
		Parent: parent, NodeSize: int64(r.Plan.Config.Node), NoCgroup: whyNot, Limit: r.Plan.limit(s),
		Env: lease.Env(), Temp: lease.Temp(), Every: r.Every, Duration: time.Duration(r.Plan.Config.Duration),
		WhoHolds:  r.WhoHolds,
		CPUs:      cpus,
		Unwatched: r.Unwatched, Remote: r.Plan.Remote,
		Follow:     func(dir string) trial.Follower { return profiles.NewFollower(dir, profiles.Options{}) },
		OnPhase:    func(p record.Phase) { r.emit(PhaseChanged{ref, p}) },
		OnSample:   func(v record.Sample) { r.emit(Sampled{ref, v}) },
		OnSnapshot: func(v record.Snapshot, live int64) { r.emit(Snapped{ref, v, live}) },
	})
	end.Outcome, end.Reason, end.Peak, end.Work, end.Isolated = t.Outcome, t.Reason, t.Peak, t.Work, t.Isolation.Kind
	end.Seconds = time.Since(begun).Seconds()
	if err == nil && r.Judge != nil {
		r.judge(dir, &end)
	}
	return end, err
}

// judge adds the verdict of a trial.
func (r *Runner) judge(dir string, end *TrialEnded) {
	v, err := r.Judge(dir)
	if err == nil {
		err = record.Write(filepath.Join(dir, record.VerdictFile), v)
	}
	if err != nil {
		r.warn(fmt.Sprintf("no verdict of %s: %v", end.Dir, err))
		return
	}
	end.Headline = record.Headline(v.Headline.String())
	if f := profiles.Leading(v); f != nil {
		end.Summary = f.Summary
	} else if len(v.Findings) > 0 {
		end.Summary = v.Findings[0].Summary
	}
}

// note records a trial's end in run.json.
func (r *Runner) note(e TrialEnded) error {
	for i := range r.run.Status {
		if r.run.Status[i].Cell.String() != e.Cell.String() {
			continue
		}
		for j := range r.run.Status[i].Trials {
			if t := &r.run.Status[i].Trials[j]; t.Index == e.Index {
				t.Outcome, t.Seconds = e.Outcome, e.Seconds
			}
		}
	}
	return record.Write(filepath.Join(r.Dir, record.RunFile), r.run)
}

// finished counts the trials with an outcome.
func (r *Runner) finished() int {
	n := 0
	for _, c := range r.run.Status {
		for _, t := range c.Trials {
			if t.Outcome != "" {
				n++
			}
		}
	}
	return n
}

// openCgroup makes the run's cgroup, or remembers why there is none.
func (r *Runner) openCgroup(lease *leftover.Lease) {
	r.run.Host.Cgroup = cgroup.None
	parent, err := cgroup.Open(r.run.ID, int64(r.Plan.Config.Node), lease.Cgroup)
	if err != nil {
		r.whyNot = strings.TrimPrefix(err.Error(), cgroup.ErrUnavailable.Error()+": ")
		r.run.Warnings = append(r.run.Warnings, "no memory limit: "+r.whyNot)
		return
	}
	r.parent = parent
	r.run.Host.Cgroup = parent.Kind()
}

func (r *Runner) closeCgroup() {
	if r.parent == nil {
		return
	}
	if err := r.parent.Close(); err != nil {
		r.warn(err.Error())
	}
}

func (r *Runner) emit(e Event) {
	if r.Events == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Events(e)
}

func (r *Runner) warn(text string) { r.emit(Warned{text}) }

// prepare checks the directory and the programs and writes run.json. It returns the trials that are done already.
func (r *Runner) prepare() (done map[string]bool, err error) {
	r.fakes = fakes.Options{Fakedrive: r.Fakedrive, Soak: r.Soak}
	if err := r.fakes.Find(r.Plan.Subject.Load != nil); err != nil {
		return nil, err
	}
	if err := r.checkRefs(); err != nil {
		return nil, err
	}
	if err := r.checkProgram(); err != nil {
		return nil, err
	}
	if err := CheckOut(r.Dir, r.Resume); err != nil {
		return nil, err
	}
	if r.Resume {
		return r.resume()
	}
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return nil, err
	}
	if r.run, err = r.newRun(); err != nil {
		return nil, err
	}
	return map[string]bool{}, record.Write(filepath.Join(r.Dir, record.RunFile), r.run)
}
