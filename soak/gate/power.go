package gate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/memsoak/memsoak/internal/stat"
)

// Power is what a comparison can tell, estimated from the spread between equal trials of a recording.
type Power struct {
	// FalseAlarms is the share of simulated comparisons of equal runs that failed, of Simulated ones.
	FalseAlarms float64 `json:"false_alarms"`
	Simulated   int     `json:"simulated"`
	// Detects has, for each quantity, the rise that is caught 95 times in 100.
	Detects []Detectable `json:"detects"`
}

// Detectable is the rise of a quantity that is caught with a chance of 95 %, in the cell where it is largest.
type Detectable struct {
	Quantity string  `json:"quantity"`
	Rise     float64 `json:"rise"`
	Mean     float64 `json:"mean"`
	Repeats  int     `json:"repeats"`
}

// String says it in a line.
func (d Detectable) String() string {
	s := fmt.Sprintf("%s +%s", d.Quantity, format(d.Quantity, d.Rise))
	if d.Mean > 0 && quantities[d.Quantity].unit == "bytes" {
		s += fmt.Sprintf(" (%.1f %%)", 100*d.Rise/d.Mean)
	}
	return s
}

const (
	simulations  = 500
	powerWanted  = 0.95
	enoughSpread = 8 // deviations from which to draw again; with fewer the noise is taken as normal
)

// EstimatePower tells what comparisons of recordings like r, each cell repeated as often as in r, can detect and how
// often they fail by chance. The noise is the run's own spread, or where it has no repeats that of the A/A recordings.
func EstimatePower(r *Run) Power {
	b := summarise(r)
	p := Power{Simulated: simulations}
	pairs, deviations := 0.0, map[string][]float64{}
	for _, rule := range rules {
		deviations[rule.quantity] = rule.deviations(b)
		for _, c := range b.Cells {
			if !constant(c.Values[rule.quantity]) || len(c.Values[rule.quantity]) == 1 {
				pairs += rule.share()
			}
		}
	}
	pairs = max(pairs, 1)
	for _, rule := range rules {
		if d, ok := rule.detectable(b, pairs); ok {
			p.Detects = append(p.Detects, d)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range simulations {
		if combine(compare(redraw(b, deviations, rng), redraw(b, deviations, rng)).Results) == Fail {
			p.FalseAlarms += 1.0 / simulations
		}
	}
	return p
}

// deviations are those of all cells from their means, in units of the rule's scale.
func (r rule) deviations(b *Baseline) []float64 {
	var out []float64
	for _, c := range b.Cells {
		x := c.Values[r.quantity]
		if len(x) < 2 {
			continue
		}
		mean := stat.Mean(x)
		grow := math.Sqrt(float64(len(x)) / float64(len(x)-1)) // deviations from the mean of few are too small
		for _, v := range x {
			out = append(out, grow*(v-mean)/r.scale(mean))
		}
	}
	return out
}

// detectable finds the quantity's smallest rise that is caught, in the cell where it takes most.
func (r rule) detectable(b *Baseline, pairs float64) (Detectable, bool) {
	n := r.noiseOf(b, b)
	t := stat.TQuantile(1-Alpha*r.share()/pairs, n.df)
	z := stat.NormalQuantile(powerWanted)
	var most Detectable
	for _, c := range b.Cells {
		x := c.Values[r.quantity]
		if len(x) == 0 {
			continue
		}
		mean := stat.Mean(x)
		se := max(n.sd*r.scale(mean), r.noiseAbs) * math.Sqrt(2/float64(len(x)))
		if d := max(r.least(mean), t*se) + z*se; d > most.Rise {
			most = Detectable{Quantity: r.quantity, Rise: d, Mean: mean, Repeats: len(x)}
		}
	}
	return most, most.Rise > 0
}

// redraw makes another recording of the same: each value is its cell's mean and a redrawn deviation.
func redraw(b *Baseline, deviations map[string][]float64, rng *rand.Rand) *Baseline {
	out := *b
	out.Cells = nil
	for _, c := range b.Cells {
		values := map[string][]float64{}
		for _, rule := range rules {
			x := c.Values[rule.quantity]
			if len(x) == 0 {
				continue
			}
			mean := stat.Mean(x)
			for range x {
				values[rule.quantity] = append(values[rule.quantity], mean+rule.deviation(mean, deviations[rule.quantity], rng))
			}
		}
		c.Values = values
		out.Cells = append(out.Cells, c)
	}
	return &out
}

func (r rule) deviation(mean float64, seen []float64, rng *rand.Rand) float64 {
	if len(seen) >= enoughSpread {
		return seen[rng.IntN(len(seen))] * r.scale(mean)
	}
	return rng.NormFloat64() * max(r.noiseRel*r.scale(mean), r.noiseAbs)
}

// SelfCheck is what a gate proved of itself.
type SelfCheck struct {
	// Leak is how a subject that leaks LeakBytes a file was judged against the same without, and where it was found;
	// it should fail. Equal is how two equal recordings were judged; it should pass.
	LeakBytes int     `json:"leak_bytes"`
	Leak      Outcome `json:"leak"`
	LeakAt    string  `json:"leak_at,omitempty"`
	Equal     Outcome `json:"equal"`
	Power     Power   `json:"power"`
}

// Trusted reports whether the gate did what it is for.
func (s *SelfCheck) Trusted() bool { return s.Leak == Fail && s.Equal == Pass }

// lines say it for people.
func (s *SelfCheck) lines() []string {
	caught := "NOT caught"
	if s.Leak == Fail {
		caught = "caught"
		if s.LeakAt != "" {
			caught += " at " + s.LeakAt
		}
	}
	equal := map[Outcome]string{Pass: "pass", Fail: "FAIL", Inconclusive: "are inconclusive"}[s.Equal]
	out := []string{fmt.Sprintf("self-check: a leak of %d B a file is %s; two equal recordings %s", s.LeakBytes, caught,
		equal)}
	if s.Power.Simulated == 0 {
		return out
	}
	out = append(out, fmt.Sprintf("self-check: false alarms %.2g %% of comparisons, by %d simulated from the spread of "+
		"this recording", 100*s.Power.FalseAlarms, s.Power.Simulated))
	var ds []string
	for _, d := range s.Power.Detects {
		ds = append(ds, d.String())
	}
	return append(out, "self-check: caught with 95 % chance: "+strings.Join(ds, ", "))
}
