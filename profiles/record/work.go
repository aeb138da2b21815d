package record

import "slices"

// Done is how much of its planned work a trial did. The zero value is none.
type Done int

// How much a trial did.
const (
	NoWork   Done = iota // no file was finished: the trial says nothing of what work costs
	PartWork             // a phase that was neither cut off nor failed left more than a tenth of its files undone
	AllWork
)

// leastDone is the part of a phase's files that has to be finished: trees hold a few items that no client copies, such
// as shortcuts.
const leastDone = 0.9

// DidWork compares the files that a trial finished with those that its phases planned. Holds are left out: what their
// waves finish depends on the hold. Recordings without a count per phase are judged by their totals.
func (t *Trial) DidWork() (d Done, done, planned int64) {
	if t.filesDone() == 0 {
		return NoWork, 0, t.plannedFiles()
	}
	counted := slices.ContainsFunc(t.Phases, func(p Phase) bool { return p.Counted })
	for _, p := range t.Phases {
		if p.Counted && p.binding() && short(p.Copied, p.Files) {
			return PartWork, p.Copied, p.Files
		}
	}
	done, planned = t.filesDone(), t.plannedFiles()
	if !counted && short(done, planned) {
		return PartWork, done, planned
	}
	return AllWork, done, planned
}

// binding reports whether the phase's files all have to be finished: those of a repeated tree may be known already, and
// a hold's wave ends as the hold does.
func (p Phase) binding() bool {
	return !p.CutOff && p.LeftOut == "" && !p.Repeat && p.Failed == "" && p.Kind != "hold"
}

func short(done, planned int64) bool { return float64(done) < leastDone*float64(planned) }

func (t *Trial) plannedFiles() int64 {
	var n int64
	for _, p := range t.Phases {
		if p.binding() {
			n += p.Files
		}
	}
	return n
}

// filesDone is the most files that any reading saw finished.
func (t *Trial) filesDone() int64 {
	n := t.Work.Files
	for _, s := range t.Snapshots {
		if s.Covariates != nil {
			n = max(n, s.Covariates.FilesDone)
		}
	}
	if t.OOM != nil {
		n = max(n, t.OOM.FilesDone)
	}
	return n
}
