package drawn

import (
	"math/rand/v2"

	"github.com/memsoak/memsoak/profiles/record"
)

// Mutation is something that may have gone wrong with a trial.
type Mutation struct {
	Name string
	// Dead says that the trial did not end well, Idle that it did no work, Short that it left work undone.
	Dead, Idle, Short bool
	Apply             func(*Recording, *rand.Rand)
}

// Mutations are the kinds of trials that say nothing, or less, of what work costs, and a recording as it is.
var Mutations = []Mutation{
	{Name: "as recorded", Apply: func(*Recording, *rand.Rand) {}},
	{Name: "killed", Dead: true, Apply: killed},
	{Name: "killed before work", Dead: true, Idle: true, Apply: func(r *Recording,
		_ *rand.Rand) {
		idle(r)
		r.cut(1)
		r.kill()
	}},
	{Name: "crashed", Dead: true, Apply: ended(record.Crashed)},
	{Name: "wave failed", Dead: true, Apply: ended(record.WaveFailed)},
	{Name: "timed out", Dead: true, Apply: ended(record.Timeout)},
	{Name: "unfinished", Dead: true, Apply: ended("")},
	{Name: "idle", Idle: true, Apply: func(r *Recording, _ *rand.Rand) { idle(r) }},
	{Name: "half done", Short: true, Apply: halfDone},
	{Name: "small files only", Apply: smallOnly},
	{Name: "buffers half empty", Apply: halfEmpty},
}

// Sound reports whether a trial so changed did its work and ended well.
func (m Mutation) Sound() bool { return !m.Dead && !m.Idle && !m.Short }

// cut ends the trial after so many snapshots.
func (r *Recording) cut(n int) {
	n = min(max(n, 1), len(r.Trial.Snapshots))
	r.Trial.Snapshots, r.Snaps = r.Trial.Snapshots[:n], r.Snaps[:n]
	end := r.Trial.Snapshots[n-1].Time
	r.Trial.Ended, r.Trial.Peak = end, record.Peak{}
	for i, p := range r.Trial.Phases {
		if p.Start.After(end) {
			r.Trial.Phases = r.Trial.Phases[:i]
			break
		}
	}
	for i, s := range r.Samples {
		if s.Time.After(end) {
			r.Samples = r.Samples[:i]
			break
		}
	}
	var done, bytes int64
	for _, s := range r.Trial.Snapshots {
		p := &r.Trial.Peak
		p.HeapLive = max(p.HeapLive, s.HeapLive)
		p.See(s.Sample)
		if c := s.Covariates; c != nil {
			done, bytes = max(done, c.FilesDone), max(bytes, c.BytesDone)
		}
	}
	r.Trial.Work.Files, r.Trial.Work.Bytes = done, bytes
	if n := len(r.Trial.Phases); n > 0 {
		r.Trial.Phases[n-1].CutOff = true
	}
}

// kill lets the limit end the trial where it ends now.
func (r *Recording) kill() {
	t := &r.Trial
	if t.Isolation.Limit == 0 {
		t.Isolation.Kind, t.Isolation.Limit = "cgroup-v2", 256<<20
	}
	t.Outcome, t.Reason, t.Exit = record.OOMKilled, "killed by its memory limit", &record.Exit{Code: -1, Signal: "killed"}
	t.OOM = &record.OOM{Time: t.Ended, Limit: t.Isolation.Limit, Kills: 1, FilesDone: t.Work.Files}
	t.Peak.Charged, t.Peak.Cgroup = t.Isolation.Limit, t.Isolation.Limit
}

func killed(r *Recording, rng *rand.Rand) {
	n := len(r.Trial.Snapshots)
	r.cut(n/3 + rng.IntN(n-n/3))
	r.kill()
}

// ended lets the trial end early with an outcome.
func ended(o record.Outcome) func(*Recording, *rand.Rand) {
	return func(r *Recording, rng *rand.Rand) {
		r.cut(1 + rng.IntN(len(r.Trial.Snapshots)))
		r.Trial.Outcome, r.Trial.OOM, r.Trial.Reason = o, nil, "ended early"
	}
}

// idle takes all work out of a trial.
func idle(r *Recording) {
	r.Trial.Work, r.Trial.OOM = record.Work{Seconds: r.Trial.Work.Seconds}, nil
	for i := range r.Trial.Snapshots {
		if c := r.Trial.Snapshots[i].Covariates; c != nil {
			*c = record.Covariates{Requests: c.Requests, Waves: c.Waves}
		}
	}
	for i := range r.Samples {
		if c := r.Samples[i].Covariates; c != nil {
			*c = record.Covariates{Requests: c.Requests, Waves: c.Waves}
		}
	}
	for i := range r.Trial.Phases {
		p := &r.Trial.Phases[i]
		p.Copied, p.CopiedBytes = 0, 0
	}
}

// halfDone leaves half of the files of one wave undone.
func halfDone(r *Recording, rng *rand.Rand) {
	var at []int
	for i, p := range r.Trial.Phases {
		if p.Counted && p.Files > 1 && p.Kind == "wave" {
			at = append(at, i)
		}
	}
	if len(at) == 0 { // without counts by phase the totals say it
		r.Trial.Phases = append(r.Trial.Phases, record.Phase{Name: "more", Kind: "wave", Counted: true, Files: 2 * max(1,
			r.Trial.Work.Files), Copied: 1})
		return
	}
	p := &r.Trial.Phases[at[rng.IntN(len(at))]]
	p.Copied, p.CopiedBytes = p.Files/2, p.CopiedBytes/2
}

// halfEmpty takes away the pages of half of the live heap in held states: buffers that are larger than their files.
func halfEmpty(r *Recording, _ *rand.Rand) {
	for _, s := range r.Trial.Snapshots {
		if s.State.Held() && s.Process != nil {
			s.Process.HeapArena = min(s.Process.HeapArena, s.HeapLive/2)
		}
	}
}

// smallOnly leaves out the states in which the larger files were held, so that the range of sizes is a smaller one.
func smallOnly(r *Recording, _ *rand.Rand) {
	size := func(s record.Snapshot) int64 {
		if c := s.Covariates; s.State.Held() && c != nil && c.InFlight > 0 {
			return c.BytesInFlight / c.InFlight
		}
		return 0
	}
	var most int64
	for _, s := range r.Trial.Snapshots {
		most = max(most, size(s))
	}
	var snapshots []record.Snapshot
	var snaps []Snap
	for i, s := range r.Trial.Snapshots {
		if size(s) <= most/2 {
			snapshots, snaps = append(snapshots, s), append(snaps, r.Snaps[i])
		}
	}
	r.Trial.Snapshots, r.Snaps = snapshots, snaps
}
