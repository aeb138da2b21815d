package costs

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// Of is a verdict's table of costs. Verdicts from before there was one, which had no hypotheses either, have their
// findings' slopes as rows; suspects of a trial that was only watched cost nothing.
func Of(v *record.Verdict) []record.Cost {
	if len(v.Costs) > 0 || len(v.Hypotheses) > 0 {
		return v.Costs
	}
	var out []record.Cost
	for _, f := range v.Findings {
		if f.Slope != nil {
			out = append(out, record.Cost{Class: f.Class, Site: f.Site, Per: f.Slope.Per, Bytes: f.Slope.Bytes,
				CI95:    f.Slope.CI95,
				Bounded: KindOf(f) == "", Bound: float64(f.Bound)})
		}
	}
	return out
}

// Check says why a verdict is not one of the trial, or its table not one of its findings: each slope has a row, of no
// fewer bytes, since a row has all that comes with the unit. Suspects of a trial that was only watched have none.
func Check(t *record.Trial, v *record.Verdict) error {
	if v.Outcome != t.Outcome {
		return fmt.Errorf("the verdict is of a trial that ended as %q, this ended as %q: soak diagnose RUN judges it again",
			v.Outcome, t.Outcome)
	}
	table := Of(v)
	for _, f := range v.Findings {
		if f.Slope == nil || t.Kind == record.Passive {
			continue
		}
		if !slices.ContainsFunc(table, func(c record.Cost) bool {
			return keyOf(c) == costKey{f.Class, f.Site.Function, f.Slope.Per} && c.Bounded == (KindOf(f) == "") &&
				c.Bytes >= leastOfSlope*f.Slope.Bytes
		}) {
			return fmt.Errorf("the finding %s at %s has no row among the costs: soak diagnose RUN judges it again", f.Class,
				f.Site.Function)
		}
	}
	return nil
}

// leastOfSlope leaves room for rounding between a slope and its row.
const leastOfSlope = 0.99

// Rates are how much of each unit came with a finished file in a trial.
type Rates struct {
	// Each is an amount of the unit per finished file.
	Bytes, Requests, Pages, Waves, Seconds, Failed float64
}

// RatesOf reads them from a trial; without a finished file they are those of one file.
func RatesOf(t *record.Trial) Rates { return RatesFrom(LastWork(t)) }

// LastWork is the last count of the trial's work, with the seconds until then.
func LastWork(t *record.Trial) (last record.Covariates, seconds float64) {
	for _, n := range t.Snapshots {
		if c := n.Covariates; c != nil && c.FilesDone >= last.FilesDone {
			last, seconds = *c, n.Time.Sub(t.Snapshots[0].Time).Seconds()
		}
	}
	return last, seconds
}

// RatesFrom are the rates of so much work in so many seconds.
func RatesFrom(c record.Covariates, seconds float64) Rates {
	files := math.Max(1, float64(c.FilesDone))
	return Rates{Bytes: float64(c.BytesDone) / files, Requests: float64(c.Requests) / files,
		Pages: float64(c.Pages) / files,
		Waves: float64(c.Waves) / files, Seconds: seconds / files, Failed: float64(c.Failed) / files}
}

// PerFile is how much of a unit comes with a planned file; ok is false for what does not come with files, as workers or
// the size of those in flight.
func (r Rates) PerFile(per string) (units float64, ok bool) {
	switch per {
	case "file", "listed-file", "backlog-item", "distinct-item", "large-file": // each of them may be large
		return 1, true
	case "byte":
		return r.Bytes, true
	case "request":
		return r.Requests, true
	case "page":
		return r.Pages, true
	case "wave":
		return r.Waves, true
	case "second":
		return r.Seconds, true
	case "error":
		return r.Failed, true
	}
	return 0, false
}

// Planned is how much of a unit the planned work comes to, with so many transfers in flight; ok is false where the plan
// says nothing of the unit.
func (r Rates) Planned(per string, bound float64, p Plan, inFlight float64) (units float64, ok bool) {
	if per == "byte-in-flight" {
		return inFlight * float64(p.LargestFile), true
	}
	n, ok := r.PerFile(per)
	n *= float64(p.Files)
	if bound > 0 {
		n = math.Min(n, bound)
	}
	return n, ok
}

// Growth is what each finished file adds for good, in bytes: the sum of all unbounded rows, each with the units that
// come with a file. Memory held for the size of files in flight does not add up and is not in it.
func Growth(costs []record.Cost, r Rates) float64 {
	sum := 0.0
	for _, c := range costs {
		if n, ok := r.PerFile(c.Per); ok && !c.Bounded {
			sum += n * c.Bytes
		}
	}
	return sum
}

// Gathered is what gathers with the work, by the part of the model that it belongs to. Bytes.
type Gathered struct {
	Live, Arenas, Outside float64
	Variance              float64
	OfLive                float64 // the part of Variance that is of rows with live heap alone
}

// Gathers reports whether a row adds up with the work, without a bound.
func Gathers(c record.Cost) bool {
	_, grows := (Rates{}).PerFile(c.Per)
	return grows && !c.Bounded
}

// GrowthOf adds up the unbounded rows of a table over so many units of each.
func GrowthOf(costs []record.Cost, units func(c record.Cost) (float64, bool)) Gathered {
	var g Gathered
	for _, c := range costs {
		if !Gathers(c) {
			continue
		}
		n, ok := units(c)
		if !ok {
			continue
		}
		g.Live += n * Share(c, record.PartLive)
		g.Arenas += n * Share(c, record.PartStacks)
		g.Outside += n * (Share(c, record.PartOffHeap) + Share(c, record.PartFile))
		v := trend.Square(n * (c.CI95[1] - c.CI95[0]) / 2 / 1.96)
		g.Variance += v
		if Share(c, record.PartLive) == c.Bytes {
			g.OfLive += v
		}
	}
	return g
}

// Copies is what stands beside the live heap of a row's unit at the worst moment: an array that is being copied.
func Copies(c record.Cost) float64 {
	if c.Copied && Gathers(c) {
		return Share(c, record.PartLive)
	}
	return 0
}

// costKey is what makes rows of several trials one row.
type costKey struct {
	class         record.Class
	function, per string
}

func keyOf(c record.Cost) costKey { return costKey{c.Class, c.Site.Function, c.Per} }

// sumCosts makes one row of those of a trial's table that have the same key, as two stacks of goroutines that end in
// one function have: both come with each unit.
func sumCosts(table []record.Cost) []record.Cost {
	var out []record.Cost
	for _, c := range table {
		i := slices.IndexFunc(out, func(o record.Cost) bool { return keyOf(o) == keyOf(c) })
		if i < 0 {
			out = append(out, c)
			continue
		}
		sum := &out[i]
		half := math.Hypot(sum.CI95[1]-sum.CI95[0], c.CI95[1]-c.CI95[0]) / 2
		parts := map[string]float64{}
		for _, part := range []string{record.PartLive, record.PartStacks, record.PartOffHeap, record.PartFile} {
			if b := Share(*sum, part) + Share(c, part); b != 0 {
				parts[part] = b
			}
		}
		sum.Bytes, sum.Parts = sum.Bytes+c.Bytes, parts
		sum.CI95 = [2]float64{math.Max(0, sum.Bytes-half), sum.Bytes + half}
		sum.Bounded, sum.Copied = sum.Bounded && c.Bounded, sum.Copied || c.Copied
		sum.Bound, sum.Tried[1] = math.Max(sum.Bound, c.Bound), math.Max(sum.Tried[1], c.Tried[1])
	}
	return out
}

// OfRun joins the tables of a run's trials: rows of one class, function and unit become one, with the mean of their
// bytes and an interval that covers how far they differ. Where trials explain one function by different units and no
// trial by both, the explanation of most trials stays: they are the same bytes, unless they gather by one alone. So are
// what a function has in flight by workers in some trials and by workers and bytes in others.
func OfRun(tables [][]record.Cost) []record.Cost {
	tables = agreed(tables)
	rows := map[costKey][]record.Cost{}
	together := map[[2]costKey]bool{}
	var keys []costKey
	for _, table := range tables {
		var here []costKey
		for _, c := range sumCosts(table) {
			k := keyOf(c)
			if rows[k] == nil {
				keys = append(keys, k)
			}
			rows[k] = append(rows[k], c)
			here = append(here, k)
		}
		for _, a := range here {
			for _, b := range here {
				together[[2]costKey{a, b}] = true
			}
		}
	}
	slices.SortStableFunc(keys, func(a, b costKey) int { return cmp.Compare(len(rows[b]), len(rows[a])) })
	var kept []costKey
	var out []record.Cost
	for _, k := range keys {
		same := func(o costKey) bool {
			return o.function == k.function && !together[[2]costKey{o, k}] && Gathers(rows[o][0]) == Gathers(rows[k][0])
		}
		if k.function != "" && slices.ContainsFunc(kept, same) {
			continue
		}
		kept = append(kept, k)
		out = append(out, joinCosts(rows[k]))
	}
	return out
}

// agreed leaves out a trial's rows of what a function has in flight where more trials, or as many with more units,
// explain that by another set of units.
func agreed(tables [][]record.Cost) [][]record.Cost {
	type explanation struct {
		function string
		units    int // a bit each
	}
	trials, of, best := map[explanation]int{}, make([]map[string]int, len(tables)), map[string]explanation{}
	for i, table := range tables {
		of[i] = map[string]int{}
		for _, c := range table {
			of[i][c.Site.Function] |= inFlight[c.Per]
		}
		for f, units := range of[i] {
			if units > 0 {
				trials[explanation{f, units}]++
			}
		}
	}
	for e, n := range trials {
		b := best[e.function]
		if cmp.Or(cmp.Compare(n, trials[b]), cmp.Compare(e.units, b.units)) > 0 {
			best[e.function] = e
		}
	}
	out := make([][]record.Cost, len(tables))
	for i, table := range tables {
		for _, c := range table {
			if f := c.Site.Function; f == "" || inFlight[c.Per] == 0 || of[i][f] == best[f].units {
				out[i] = append(out[i], c)
			}
		}
	}
	return out
}

// inFlight are the units of what comes and goes with transfers.
var inFlight = map[string]int{"worker": 1, "byte-in-flight": 2}

// joinCosts is the mean of rows of one kind.
func joinCosts(rows []record.Cost) record.Cost {
	out := rows[0]
	n := float64(len(rows))
	mean, within := 0.0, 0.0
	out.Parts = map[string]float64{}
	for _, c := range rows {
		mean += c.Bytes / n
		within += trend.Square((c.CI95[1] - c.CI95[0]) / 2 / 1.96)
		for part, b := range c.Parts {
			out.Parts[part] += b / n
		}
		if c.Tried[1] > 0 {
			out.Tried = [2]float64{math.Min(cmp.Or(out.Tried[0], c.Tried[0]), c.Tried[0]), math.Max(out.Tried[1], c.Tried[1])}
		}
		out.Bounded, out.Copied = out.Bounded && c.Bounded, out.Copied || c.Copied
		out.Bound = math.Max(out.Bound, c.Bound)
	}
	spread := 0.0
	for _, c := range rows {
		spread += trend.Square(c.Bytes - mean)
	}
	se := math.Sqrt(within) / n
	if n > 1 {
		se = math.Max(se, math.Sqrt(spread/(n-1)/n))
	}
	out.Bytes, out.CI95 = mean, [2]float64{math.Max(0, mean-1.96*se), mean + 1.96*se}
	return out
}

// Share is a row's bytes per unit of one kind of memory. Rows without parts are live heap.
func Share(c record.Cost, part string) float64 {
	if len(c.Parts) == 0 && part == record.PartLive {
		return c.Bytes
	}
	return c.Parts[part]
}

// KindOf is the headline that a finding makes by its nature, empty for what settings bound.
func KindOf(f record.Finding) record.Headline {
	h := f.Class.Headline()
	if !f.Class.Fault() && !f.Unreclaimable || h == record.HeadOffHeap && (f.Slope == nil ||
		slices.Contains([]string{"worker", "connection", "goroutine"}, f.Slope.Per)) {
		return ""
	}
	return h
}
