package closure

import (
	"cmp"
	"fmt"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// doubts are the contradictions, by the kind of evidence that leans on them, and of holds by the unit.
type doubts struct {
	kinds map[evidenceKind]string
	held  map[string]string
}

// of is the doubt that a hypothesis leans on, "" without one.
func (d *doubts) of(h *hypothesis) string {
	if h.kind == byHolds {
		return cmp.Or(d.kinds[h.kind], d.held[h.per])
	}
	return d.kinds[h.kind]
}

// leansOn are the units of hypotheses that a held state decides.
var leansOn = map[record.State][]string{
	record.StateHeader: {"backlog-item", "listed-file"},
	record.StateBody:   {"byte-in-flight"},
	record.StateReply:  {"byte-in-flight"},
}

// doubtsOf looks for contradictions.
func doubtsOf(s *series.Series) *doubts {
	out := &doubts{map[evidenceKind]string{}, map[string]string{}}
	all := func(why string) {
		for _, k := range []evidenceKind{byFloors, byHolds, byRoutines, byConns, byOffHeap, byShared} {
			out.kinds[k] = cmp.Or(out.kinds[k], why)
		}
	}
	hold := func(n *series.Snapshot, format string, args ...any) {
		for _, per := range leansOn[n.State] {
			out.held[per] = fmt.Sprintf(format, args...)
		}
	}
	var given, done int64
	for _, p := range s.Trial.Phases {
		if p.Failed == "" && !p.CutOff && p.LeftOut == "" {
			given += p.Files
		}
		if p.CopiedNothing() {
			all(fmt.Sprintf("of the %d files of %s none arrived: a subject that copies what it says it copied", p.Files, p.Name))
		}
	}
	for _, n := range s.Snaps {
		done = max(done, n.Cov().FilesDone)
		if n.AtRest() && n.Process.OutOfFDs() {
			out.kinds[byConns] = cmp.Or(out.kinds[byConns], fmt.Sprintf("%d of %d descriptors were open with no work under "+
				"way: a higher limit of descriptors", n.Process.FDs, n.Process.FDLimit))
		}
		switch h := n.Hold; {
		case !n.State.Held():
		case h == nil && n.Cov().InFlight == 0:
			hold(n, "the hold of %s held nothing: transfers in flight while a snapshot is taken", n.Phase)
		case h != nil && h.Short():
			hold(n, "the hold of %s held %d of the %d transfers asked for: a subject that runs as many", n.Phase, h.Held,
				h.Asked)
		case h != nil && h.Restless:
			hold(n, "the subject did not come to rest in the hold of %s: a longer settle time", n.Phase)
		}
	}
	switch {
	case s.Trial.Outcome != record.OK && s.Trial.Outcome != "":
		all(fmt.Sprintf("the trial ended as %s: a trial that runs to its end", s.Trial.Outcome))
	case done == 0:
		all("no file was copied: a trial with work")
	case float64(done) < copiedShare*float64(given):
		all(fmt.Sprintf("the subject copied %d of the %d files that it was given: a subject that copies them", done, given))
	}
	return out
}

// copiedShare is the part of the files given that has to have been copied for counts of files to mean anything.
const copiedShare = 0.9
