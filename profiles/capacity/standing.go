package capacity

// What a trial may be cited for. A capacity is a promise about runs that have not happened, so a trial that did no
// work, did not end well or could not be judged supports none, and a kill forbids all that ask for as much.

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// standing is what a trial supports, forbids and leaves open.
type standing struct {
	Workers int // the setting, or without one the most transfers in flight
	effort  record.Done
	// undone says in words which work was left, for a reader.
	undone string
	unread bool // nothing of its record could be read, or it can't be relied on
	// disputed says that it could be read, and ended otherwise by the run's record.
	disputed bool
	limit    int64 // below which it ran, bytes; 0: none
	// uncounted says that no work was counted: a process that was watched from outside.
	uncounted bool
	// judged says that the trial has a verdict of its own, and headline is it.
	judged   bool
	headline record.Headline
	// The work that was there at the end: the most files listed or done, the largest file begun, the largest mean size of
	// the files that were held, and of those that all workers held.
	Files, largest, Held, Whole int64
	killed                      int64 // the limit that killed it, 0: none did
}

// standingOf reads it from a series and its verdict.
func standingOf(s *series.Series, v *record.Verdict) standing {
	t := s.Trial
	st := standing{judged: t.Kind != record.Speed, headline: v.Headline, uncounted: uncounted(s)}
	st.Workers, _ = strconv.Atoi(s.Setting("workers", "0"))
	inFlight := int64(0)
	for _, n := range s.Snaps {
		c := n.Cov()
		st.Files, st.largest = max(st.Files, c.FilesListed, c.FilesDone), max(st.largest, c.Largest)
		inFlight = max(inFlight, c.InFlight)
		if n.State.Held() && c.InFlight > 0 {
			st.Held = max(st.Held, c.BytesInFlight/c.InFlight)
			if c.InFlight >= int64(st.Workers) {
				st.Whole = max(st.Whole, c.BytesInFlight/c.InFlight)
			}
		}
	}
	if st.Workers == 0 {
		st.Workers = int(inFlight)
	}
	var done, planned int64
	st.effort, done, planned = t.DidWork()
	if st.effort == record.PartWork {
		st.undone = fmt.Sprintf("%d of %d planned files were finished", done, planned)
	}
	st.limit = t.Isolation.Limit
	if t.Outcome == record.OOMKilled {
		st.killed = t.Isolation.Limit
		if t.OOM != nil {
			st.killed = cmp.Or(t.OOM.Limit, st.killed)
			st.Files = max(st.Files, t.OOM.FilesDone)
		}
	}
	return st
}

// uncounted reports whether a series has no count of work.
func uncounted(s *series.Series) bool {
	return len(s.Snaps) > 0 && !slices.ContainsFunc(s.Snaps, func(n *series.Snapshot) bool { return n.Covariates != nil })
}

// Unread is a trial that ran and whose record can't be read, or says another end than the run's: it may have been the
// one that was killed. Of a record that could be read its settings hold.
func Unread(cell record.Cell, r record.TrialStatus, run *record.Run, read *Evidence) trialSize {
	t := trialSize{cell: cell, outcome: cmp.Or(r.Outcome, record.OK),
		standing: standing{unread: true, judged: r.Kind != record.Speed, headline: record.Inconclusive, limit: run.Limit}}
	set, _ := run.Config["set"].(map[string]any)
	t.Workers, _ = strconv.Atoi(cmp.Or(cell["workers"], fmt.Sprint(set["workers"])))
	if len(read.Trials) > 0 {
		own := &read.Trials[0]
		t.disputed, t.Workers, t.limit = true, own.Workers, max(own.limit, run.Limit)
	}
	if t.outcome == record.OOMKilled {
		t.killed = t.limit
	}
	return t
}

// speaks reports whether the trial's readings show the cost of work: work was done, and the trial ended well
// or by its limit, so that the readings until then are complete.
func (t *trialSize) speaks() bool {
	return t.effort != record.NoWork && (t.outcome == record.OK || t.outcome == record.OOMKilled)
}

// supports reports whether a claim may rest on the trial.
func (t *trialSize) supports() bool {
	return t.outcome == record.OK && t.effort == record.AllWork && t.judged &&
		t.headline.String() != string(record.Inconclusive)
}

// name is what a sentence calls the trial by: its cell, where the run has axes.
func (t *trialSize) name() string {
	if len(t.cell) == 0 {
		return "the trial"
	}
	return "trial " + t.cell.String()
}

// why says in one clause why the trial supports no claim.
func (t *trialSize) why() string {
	switch {
	case t.disputed:
		return "ended in two ways by two records"
	case t.unread:
		return "can't be read"
	case t.outcome == record.OOMKilled:
		return "was killed at its limit of " + words.Bytes(float64(t.killed))
	case t.outcome != record.OK:
		return "ended as " + words.OrUnknown(string(t.outcome))
	case t.uncounted:
		return "was watched from outside, where no work is counted"
	case t.effort == record.NoWork:
		return "did no work"
	case t.effort == record.PartWork:
		return "left work undone: " + t.undone
	case t.judged:
		return "is inconclusive"
	}
	return "was not judged"
}

// forbids reports whether the trial's death rules out as many workers as it had for the plan: it was killed by a limit
// that is as large, while it had no more work than the plan names. A plan that names none is for the work of the run.
func (t *trialSize) forbids(p costs.Plan) bool {
	return t.outcome == record.OOMKilled && t.killed >= p.Limit && (p.Files == 0 || t.Files <= p.Files) &&
		(p.LargestFile == 0 || t.largest <= p.LargestFile)
}

// grounds are what a run's trials say together of a plan.
type grounds struct {
	seen     int // the most workers of a trial that supports a claim; 0: none does
	killedAt int // the fewest workers that were killed; 0: none were
	doubtAt  int // the fewest workers beyond seen of a trial that supports no claim; 0: there is none
	doubt    string
	held     int64 // the largest size of files that were held
	files    int64 // the most files of a trial that supports a claim
	why      []string
}

func (e *Evidence) grounds(p costs.Plan) grounds {
	var g grounds
	lost := map[string][]string{} // trials by why they support nothing
	for i := range e.Trials {
		t := &e.Trials[i]
		if t.supports() {
			g.seen, g.held, g.files = max(g.seen, t.Workers), max(g.held, t.Held), max(g.files, t.Files)
		} else if t.judged || t.outcome != record.OK {
			lost[t.why()] = append(lost[t.why()], t.name())
		}
		if t.forbids(p) && (g.killedAt == 0 || t.Workers < g.killedAt) {
			g.killedAt = max(1, t.Workers)
		}
	}
	for i := range e.Trials {
		t := &e.Trials[i]
		if t.supports() || !t.judged || t.outcome == record.OOMKilled || t.Workers <= g.seen || g.doubtAt != 0 &&
			t.Workers >= g.doubtAt {
			continue
		}
		g.doubtAt, g.doubt = t.Workers, t.name()+" "+t.why()
	}
	if g.seen == 0 {
		for _, why := range slices.Sorted(maps.Keys(lost)) {
			names := slices.Compact(slices.Sorted(slices.Values(lost[why])))
			why = names[0] + " " + why
			if more := len(names) - 1; more > 0 {
				why += fmt.Sprintf(" (and %s more)", words.Count(more, "trial"))
			}
			g.why = append(g.why, why)
		}
		if len(e.Trials) == 0 {
			g.why = []string{"no trial was recorded"}
		}
	}
	return g
}
