package accuracy

import (
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// Score is how a trial's verdict compares with the truth.
type Score struct {
	Specimen string `json:"specimen"`
	// Condition is what the trial ran under.
	Condition string `json:"condition"`
	HeldOut   bool   `json:"held_out,omitempty"`
	Kind      Kind   `json:"kind"`
	Seed      int64  `json:"seed"`
	Workers   int    `json:"workers"`
	Dir       string `json:"dir,omitempty"`

	Seconds float64        `json:"seconds"`
	Files   int64          `json:"files"`
	Outcome record.Outcome `json:"outcome"`

	// Want and Got are the class of the fault and the class that the verdict gives the culprit, or its headline where
	// there is none: the two sides of the confusion matrix.
	Want string `json:"want"`
	Got  string `json:"got"`

	// Result is what the verdict is worth; Faulty says that the truth is a fault by nature, and NamedFirst that the
	// verdict's first finding is a fault at its culprit, of whatever class.
	Result     Result `json:"result"`
	Faulty     bool   `json:"faulty,omitempty"`
	NamedFirst bool   `json:"named_first,omitempty"`
	// Limit is the detection limit reached for what gathers per file, bytes; 0 where the verdict states none.
	Limit float64 `json:"limit_per_file,omitempty"`
	// Again says that a recording was judged again: such a score counts in no figure. Build is that of a live verdict.
	Again bool   `json:"again,omitempty"`
	Build string `json:"build,omitempty"`

	// Right is that headline, class and function are all right; for healthy specimens that nothing was alleged; for
	// combinations that both faults were found.
	Right    bool `json:"right"`
	Headline bool `json:"headline"`
	Function bool `json:"function"`
	// Line is nil where the truth names none.
	Line *bool `json:"line,omitempty"`

	Slope     *SlopeScore `json:"slope,omitempty"`
	Remainder *Remainder  `json:"remainder,omitempty"`

	// Why names the error, in a line.
	Why string `json:"why,omitempty"`
}

// Kind is the sort of a specimen.
type Kind string

// The kinds of specimens.
const (
	Fault       Kind = "fault"
	Look        Kind = "look-alike"
	Combination Kind = "combination"
)

// SlopeScore compares a slope.
type SlopeScore struct {
	Want  float64 `json:"want"`
	Got   float64 `json:"got"`
	Error float64 `json:"error"` // relative
	Unit  string  `json:"unit"`  // as the verdict says it
	// Covered is that the 95 % interval has the truth in it; Large that the finding is above the size from which the
	// error is judged.
	Covered bool `json:"covered"`
	Large   bool `json:"large"`
	// Tolerance is the error that the truth allows.
	Tolerance float64 `json:"tolerance"`
	// WrongUnit is that the verdict says the slope per something else; the error is then 100 %.
	WrongUnit bool `json:"wrong_unit,omitempty"`
}

// Remainder is what the waterfall did not explain.
type Remainder struct {
	Bytes int64 `json:"bytes"`
	Total int64 `json:"total"`
}

// Small reports whether the remainder is within 3 % or 4 MiB.
func (r Remainder) Small() bool {
	b := math.Abs(float64(r.Bytes))
	return b <= 4<<20 || b <= 0.03*float64(r.Total)
}

// LargeFinding is the size in bytes from which a slope's error is judged.
const LargeFinding = 4.5e6

// Judge compares a verdict with the truth. A nil verdict is that of a trial that was not judged.
func Judge(t *truth.Truth, parts []*truth.Truth, v *record.Verdict) Score {
	s := judge(t, parts, v)
	s.Faulty, s.NamedFirst, s.Result = faulty(t), namedFirst(t, v), s.result(t, v)
	if v != nil {
		s.Limit = limitPerFile(v)
	}
	return s
}

func judge(t *truth.Truth, parts []*truth.Truth, v *record.Verdict) Score {
	s := Score{Specimen: t.Name, HeldOut: t.HeldOut, Kind: Fault, Want: string(t.Class)}
	switch {
	case t.Healthy():
		s.Kind, s.Want = Look, "healthy"
	case t.Combination():
		s.Kind, s.Want = Combination, "both"
	}
	if v == nil {
		s.Got, s.Why = "no verdict", "no verdict"
		return s
	}
	s.Outcome = v.Outcome
	s.Headline = v.Headline == t.Headline || t.Also != "" && v.Headline == t.Also || ofTheDead(t, v)
	s.Remainder = remainder(v)
	switch s.Kind {
	case Look:
		s.judgeLook(v)
	case Combination:
		s.judgeCombination(parts, v)
	default:
		s.judgeFault(t, v)
	}
	if s.Right {
		s.Why = ""
	}
	return s
}

// buffers are the classes that a trial has a use for while it works.
var buffers = []record.Class{record.BufferWorker, record.BufferPool}

// ofTheDead reports whether a verdict has the headline that a trial deserves which its buffers have killed: on a
// machine with room for them the subject is healthy, but no dead trial is.
func ofTheDead(t *truth.Truth, v *record.Verdict) bool {
	return v.Outcome == record.OOMKilled && slices.Contains(buffers, t.Class) && v.Headline == record.HeadBuffer
}

func (s *Score) judgeLook(v *record.Verdict) {
	s.Got = v.Headline.String()
	s.Function = true
	s.Right = s.Headline
	if !s.Headline {
		s.Why = "headline " + v.Headline.String()
	}
	for _, f := range v.Findings {
		if f.Class.Fault() {
			s.Right, s.Got = false, string(f.Class)
			s.Why = "alleges " + describe(f)
			return
		}
	}
}

// judgeFault looks for the finding of the truth's class and function, and demands that nothing graver stands first.
func (s *Score) judgeFault(t *truth.Truth, v *record.Verdict) {
	f, class := match(t, v)
	switch {
	case f == nil && class == nil:
		s.Got = v.Headline.String()
		if len(v.Findings) > 0 {
			s.Got = string(v.Findings[0].Class)
		}
		s.Why = "no finding of class " + string(t.Class) + "; headline " + v.Headline.String() + first(v)
		return
	case f == nil:
		s.Got = string(class.Class)
		s.Why = "function: " + describe(*class)
		return
	}
	s.Got, s.Function = string(f.Class), true
	s.Line = lineOf(t, f)
	s.Slope = slopeOf(t, f)
	lead := v.Findings[0]
	switch {
	case !s.Headline:
		s.Why = "headline " + v.Headline.String() + first(v)
	case t.Headline != record.Healthy && v.Headline == t.Headline && lead.Class != t.Class && lead.Class.Fault():
		s.Got, s.Why = string(lead.Class), "leads with "+describe(lead)
	case t.Headline == record.Healthy && slices.ContainsFunc(v.Findings,
		func(f record.Finding) bool { return f.Class.Fault() }):
		s.Got, s.Why = "beside", "alleges more"+first(v)
	default:
		s.Right = true
	}
}

func (s *Score) judgeCombination(parts []*truth.Truth, v *record.Verdict) {
	found := 0
	var missing []string
	for _, p := range parts {
		if f, _ := match(p, v); f != nil {
			found++
		} else {
			missing = append(missing, p.Name)
		}
	}
	s.Function = found == len(parts)
	s.Right = s.Function && s.Headline
	s.Got = map[bool]string{true: "both", false: "one"}[s.Function]
	if found == 0 {
		s.Got = "none"
	}
	switch {
	case len(missing) > 0:
		s.Why = "not found: " + strings.Join(missing, ", ") + "; headline " + v.Headline.String() + first(v)
	case !s.Headline:
		s.Why = "headline " + v.Headline.String()
	}
}

// match returns the first finding of the truth's class at its function, and the first of its class at all.
func match(t *truth.Truth, v *record.Verdict) (exact, class *record.Finding) {
	for i := range v.Findings {
		f := &v.Findings[i]
		if f.Class != t.Class {
			continue
		}
		if class == nil {
			class = f
		}
		if exact == nil && (t.Function == "" || f.Site.Function == blame.CleanName(t.FullFunction())) {
			exact = f
		}
	}
	return exact, class
}

func lineOf(t *truth.Truth, f *record.Finding) *bool {
	if t.Line == 0 {
		return nil
	}
	ok := f.Site.Line == t.Line && strings.HasSuffix(f.Site.File, t.File)
	return &ok
}

func slopeOf(t *truth.Truth, f *record.Finding) *SlopeScore {
	if t.Slope == nil || f.Slope == nil {
		return nil
	}
	want := t.Slope.Bytes
	s := &SlopeScore{Want: want, Got: f.Slope.Bytes, Unit: f.Slope.Per, Large: float64(f.BytesAtPeak) >= LargeFinding,
		Tolerance: t.Slope.Tolerance()}
	if !slices.Contains(t.Slope.Per, f.Slope.Per) {
		s.Error, s.WrongUnit = 1, true // bytes per something else are no estimate at all
		return s
	}
	s.Error = (f.Slope.Bytes - want) / want
	s.Covered = f.Slope.CI95[0] <= want && want <= f.Slope.CI95[1]
	return s
}

func remainder(v *record.Verdict) *Remainder {
	var r *Remainder
	var total int64
	for _, p := range v.Waterfall {
		total += p.Bytes
		if p.Part == "remainder" {
			r = &Remainder{Bytes: p.Bytes}
		}
	}
	if r != nil {
		r.Total = total
	}
	return r
}

func first(v *record.Verdict) string {
	if len(v.Findings) == 0 {
		return ", no findings"
	}
	return ", first " + describe(v.Findings[0])
}

func describe(f record.Finding) string {
	_, fn, ok := strings.Cut(f.Site.Function, truth.Module)
	if !ok {
		fn = f.Site.Function
	}
	if fn == "" {
		fn = "(no site)"
	}
	return string(f.Class) + " at " + fn
}
