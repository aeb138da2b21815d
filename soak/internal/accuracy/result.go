package accuracy

import (
	"slices"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// Result is what a verdict is worth, the worst errors apart. The zero value is no verdict at all.
type Result string

// The results.
const (
	Right        Result = "right"
	Comfort      Result = "wrong comfort" // healthy, or settings are blamed, where a fault by nature is
	Alarm        Result = "wrong alarm"   // a fault by nature is alleged where none is
	Inconclusive Result = "inconclusive"
	Misnamed     Result = "misnamed" // a fault is seen, but another than there is, or elsewhere
	NoVerdict    Result = ""
)

// byNature are the headlines of faults that grow with the work.
var byNature = []record.Headline{record.HeadLeak, record.HeadMetadata, record.HeadOffHeap}

// faulty says that the truth is a fault by nature: one that more work makes larger, whatever the settings.
func faulty(t *truth.Truth) bool {
	return slices.Contains(byNature, t.Headline) || t.Class.Fault()
}

// result says what the verdict is worth, after the score is known.
func (s *Score) result(t *truth.Truth, v *record.Verdict) Result {
	switch {
	case v == nil:
		return NoVerdict
	case s.Right:
		return Right
	case v.Headline == "" || v.Headline == record.Inconclusive:
		return Inconclusive
	case faulty(t) || t.Combination():
		// Of a leak "headroom: raise GOMEMLIMIT" is as wrong a comfort as "healthy".
		if v.Headline == record.Healthy || v.Headline == record.HeadHeadroom {
			return Comfort
		}
		return Misnamed
	case slices.Contains(byNature, v.Headline) || slices.ContainsFunc(v.Findings,
		func(f record.Finding) bool { return f.Class.Fault() }):
		return Alarm
	case t.Healthy():
		return Alarm // a limit or buffer is blamed that breaks nothing
	}
	return Misnamed
}

// namedFirst says that the verdict's first finding is a fault at the truth's culprit. Its class is not asked for: where
// nothing is held and files are copied as fast as they are listed, what goes with either is the same.
func namedFirst(t *truth.Truth, v *record.Verdict) bool {
	if v == nil || len(v.Findings) == 0 {
		return false
	}
	f := v.Findings[0]
	if t.Function == "" {
		return f.Class == t.Class
	}
	return (f.Class == t.Class || f.Class.Fault()) &&
		f.Site.Function == blame.CleanName(t.FullFunction())
}

// limitPerFile is the least detection limit that the verdict states for what gathers per file, in bytes; 0 for none.
func limitPerFile(v *record.Verdict) float64 {
	least := 0.0
	for _, h := range v.Hypotheses {
		if h.Class == record.Leak && h.Per == "file" && h.Limit > 0 && (least == 0 || h.Limit < least) {
			least = h.Limit
		}
	}
	return least
}
