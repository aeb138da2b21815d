package gate

import "github.com/memsoak/memsoak/profiles/record"

// Outcome of a check. The zero value is Inconclusive: no data never passes.
type Outcome int

// The outcomes.
const (
	Inconclusive Outcome = iota
	Pass
	Fail
)

func (o Outcome) String() string { return [...]string{"inconclusive", "pass", "FAIL"}[o] }

// MarshalText writes pass, fail or inconclusive.
func (o Outcome) MarshalText() ([]byte, error) {
	return []byte([...]string{"inconclusive", "pass", "fail"}[o]), nil
}

// Result is one check of one cell.
type Result struct {
	Cell     record.Cell `json:"cell"`
	Check    string      `json:"check"` // the threshold, or the quantity compared
	Outcome  Outcome     `json:"outcome"`
	Measured []string    `json:"measured,omitempty"`
	Detail   string      `json:"detail,omitempty"` // why it is inconclusive, or what changed
	Change   *Change     `json:"change,omitempty"`
	// Culprit is the site to point at when it failed.
	Culprit *record.Finding `json:"culprit,omitempty"`
}

// worse reports whether the result speaks against keeping the run. A rise that would count may be due to chance, and is
// none to accept.
func (r Result) worse() bool {
	return r.Outcome != Pass || r.Change != nil && r.Change.After-r.Change.Before > r.Change.Least
}

// combine is the outcome of several checks: any failure fails; otherwise anything inconclusive, or no check at all, is
// inconclusive.
func combine(results []Result) Outcome {
	if len(results) == 0 {
		return Inconclusive
	}
	out := Pass
	for _, r := range results {
		switch r.Outcome {
		case Fail:
			return Fail
		case Inconclusive:
			out = Inconclusive
		}
	}
	return out
}
