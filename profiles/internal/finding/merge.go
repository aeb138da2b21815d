package finding

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// WholeRoutines folds into findings of goroutines that wait once per item what those goroutines hold: heap of the same
// unit that the same package allocated, or that no package of the user's allocated.
func WholeRoutines(js []*Judged) []*Judged {
	for _, head := range js {
		if !head.Routines || head.Class != record.Metadata {
			continue
		}
		js = slices.DeleteFunc(js, func(j *Judged) bool {
			same := j != head && j.Class == head.Class && j.Slope.Per == head.Slope.Per &&
				(j.Owner != blame.OwnerUser || blame.PackagePath(j.Site.Function) == blame.PackagePath(head.Site.Function))
			if same {
				head.absorb(j)
			}
			return same
		})
		break
	}
	return js
}

// MergeByFunction joins findings of one class and unit in one function: lines of the same fault. The line with the
// most bytes stands for all, with its own slope; the others are evidence.
func MergeByFunction(in []*Judged) []*Judged {
	byKey := map[string][]*Judged{}
	var order []string
	for _, j := range in {
		if byKey[j.Key] == nil {
			order = append(order, j.Key)
		}
		byKey[j.Key] = append(byKey[j.Key], j)
	}
	out := make([]*Judged, 0, len(order))
	for _, k := range order {
		g := byKey[k]
		slices.SortStableFunc(g, func(a, b *Judged) int { return cmp.Compare(b.Term.Amount, a.Term.Amount) })
		head := g[0]
		for _, o := range g[1:] {
			head.take(o)
			head.Evidence = append(head.Evidence, fmt.Sprintf("and %s per %s in line %d of the same function",
				words.Bytes(o.Term.Slope), words.Item(o.Term.Name), o.Site.Line))
		}
		out = append(out, head)
	}
	return out
}

// AbsorbParts folds findings that are parts of another fault into it: the heap that leaked goroutines and connections
// hold, and the second name of one thing.
func AbsorbParts(js []*Judged) []*Judged {
	var heads []*Judged
	for _, c := range []record.Class{record.ConnectionLeak, record.GoroutineLeak} {
		for _, j := range js {
			if j.Class == c {
				heads = append(heads, j)
			}
		}
	}
	if len(heads) == 0 {
		return js
	}
	head := heads[0]
	return slices.DeleteFunc(js, func(j *Judged) bool {
		if j == head || !partClass(j, head) || !heldBy(j, head) {
			return false
		}
		head.absorb(j)
		return true
	})
}

// Adopt folds what the network packages allocated and a leak with the same unit keeps, as the header of each request,
// into that leak: the allocation has no frame of the user's, what keeps it has.
func Adopt(js []*Judged) []*Judged {
	return slices.DeleteFunc(js, func(j *Judged) bool {
		if j.Class != record.Leak || j.Owner != blame.OwnerConnection || !j.Term.RetainedTerm {
			return false
		}
		var head *Judged
		for _, o := range js {
			keeps := o != nil && o.Class == record.Leak && o.Owner == blame.OwnerUser && o.Term.RetainedTerm &&
				o.Slope.Per == j.Slope.Per
			if keeps && o.Term.Slope > j.Term.Slope && (head == nil || o.Term.Slope > head.Term.Slope) {
				head = o
			}
		}
		if head == nil {
			return false
		}
		head.absorb(j)
		return true
	})
}

// partClass reports whether j can be a part of head by its class. What a request left with a connection is gone from
// the floors, where idle connections are closed: held states show it, as if it went with each listed file.
func partClass(j, head *Judged) bool {
	switch j.Class {
	case record.Leak, record.GoroutineLeak, record.ConnectionLeak:
		return j.Term.RetainedTerm
	case record.Metadata:
		return j.Slope.Per == "listed-file" && head.Class == record.ConnectionLeak && j.Owner == blame.OwnerUser &&
			blame.MakesRequest(j.Frames)
	}
	return false
}

// absorb adds to a finding another that is a part of it.
func (j *Judged) absorb(o *Judged) {
	j.take(o)
	if j.most == 0 {
		j.most = j.Term.Amount
	}
	// As everywhere, the line with the most bytes stands for its function.
	line := o.Site.Function == j.Site.Function && o.Term.Amount > j.most
	j.Term.Slope += o.Term.Slope
	j.Term.SE = math.Hypot(j.Term.SE, o.Term.SE)
	j.Term.Amount += o.Term.Amount
	j.Slope.Bytes, j.Slope.CI95 = j.Term.Slope, j.Term.CI95()
	j.Evidence = append(j.Evidence, fmt.Sprintf("with it stays %s per %s from %s %s:%d", words.Bytes(o.Slope.Bytes),
		words.Item(o.Slope.Per),
		words.Short(o.Site.Function), o.Site.File, o.Site.Line))
	if j.Site.Function == "" || j.Owner != blame.OwnerUser && o.Owner == blame.OwnerUser || line {
		j.Site, j.Owner, j.Frames, j.most = o.Site, o.Owner, o.Frames, o.Term.Amount
	}
}

// heldBy reports whether what leaks in j is held by the leaked goroutines or connections of head: what goes through the
// network packages with connections, what the same package made with goroutines, and what has no frame of the user's.
func heldBy(j, head *Judged) bool {
	switch {
	case j.Class != record.Leak && j.Class != record.Metadata:
		return true
	case (j.Slope.Per == "second") != (head.Slope.Per == "second"):
		return false
	case j.Owner != blame.OwnerUser || j.Site.Function == head.Site.Function:
		return true
	case head.Class == record.ConnectionLeak:
		return blame.ThroughNetwork(j.Frames)
	}
	return blame.PackagePath(j.Site.Function) == blame.PackagePath(head.Site.Function)
}
