package accuracy

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// plantKinds are the kinds of growth that are planted into live subjects, with the unit whose printed limit counts.
var plantKinds = []struct{ name, per string }{
	{"doubling", "file"}, {"byte", "byte"}, {"distinct", "distinct-item"}, {"second", "second"},
}

// PlantScore is whether growth of a size was found in a live subject.
type PlantScore struct {
	Kind    string  `json:"kind"`
	Seed    int64   `json:"seed"`
	Workers int     `json:"workers"`
	Half    bool    `json:"half,omitempty"` // planted at half of the limit that the trial without growth prints
	Bytes   float64 `json:"bytes"`          // per unit
	// Limit is that which the trial with the growth prints for the unit, 0 where it prints none. Trials end when they have
	// seen enough, so that it is another than that of the trial without.
	Limit float64 `json:"limit,omitempty"`
	Found bool    `json:"found"`
}

func (s PlantScore) String() string {
	return fmt.Sprintf("%-9s w%-3d %8.4g B, %s the limit: %s", s.Kind, s.Workers, s.Bytes,
		map[bool]string{false: "at", true: "half of"}[s.Half], map[bool]string{false: "not found", true: "found"}[s.Found])
}

// claimed reports whether the growth is as large as the limit that its own trial prints.
func (s PlantScore) claimed() bool { return s.Limit > 0 && s.Bytes >= s.Limit }

// Plants runs, for each kind of growth and so many seeds, a trial without growth, whose printed limit it takes, one
// with growth of that limit and one with half of it; Parallel of these triples at a time. With Resume those that this
// build left in Out are not run again. It calls done with each score as it comes, one at a time.
func (b *Bench) Plants(ctx context.Context, seeds int, done func(PlantScore)) ([]PlantScore, error) {
	build, err := ThisBuild()
	if err != nil {
		return nil, err
	}
	b.Out = filepath.Join(b.Out, build) // verdicts of other rules are no part of a figure
	var mu sync.Mutex
	var out []PlantScore
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, b.Parallel))
	for seed := range seeds {
		for _, k := range plantKinds {
			g.Go(func() error {
				return b.plantTriple(ctx, k.name, k.per, seed, func(s PlantScore) {
					mu.Lock()
					defer mu.Unlock()
					out = append(out, s)
					done(s)
				})
			})
		}
	}
	err = g.Wait()
	return out, err
}

// plantTriple plants growth of a kind for one seed: none, as much as the trial's printed limit, and half of it. A trial
// that prints no limit is the only one: there is nothing to hold it to.
func (b *Bench) plantTriple(ctx context.Context, kind, per string, seed int, done func(PlantScore)) error {
	limit := 0.0
	for _, share := range []float64{0, 1, 0.5} {
		t := Trial{Truth: &truth.Truth{Name: plantName(kind, share*limit)}, Condition: Conditions[0],
			Seed: int64(1000 + seed), Workers: UnseenWorkers[seed%len(UnseenWorkers)]}
		v, err := b.plantVerdict(ctx, t)
		if err != nil {
			return err
		}
		if share == 0 {
			if limit = limitOf(v, per, record.Excluded); limit == 0 {
				return nil
			}
			continue
		}
		own := limitOf(v, per, record.Excluded, record.Found)
		done(PlantScore{Kind: kind, Seed: t.Seed, Workers: t.Workers, Half: share < 1, Bytes: share * limit, Limit: own,
			Found: slices.ContainsFunc(v.Findings, ofPlant)})
	}
	return nil
}

// plantName is the specimen that keeps so many bytes for each unit of a kind, which may be far less than one.
func plantName(kind string, bytes float64) string {
	return fmt.Sprintf("plant-%s-%d", kind, int64(math.Round(1e6*bytes)))
}

// plantVerdict is the verdict of a plant's trial; the zero one of a trial that could not be judged.
func (b *Bench) plantVerdict(ctx context.Context, t Trial) (*record.Verdict, error) {
	dir := filepath.Join(b.Out, filepath.FromSlash(t.Dir()))
	if kept, err := trialDir(dir); err == nil && b.Resume {
		if v, err := record.ReadVerdict(kept); err == nil {
			return v, nil
		}
	}
	v, _, err := b.record(ctx, t, dir)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if v == nil {
		return nil, fmt.Errorf("%s: no verdict: %w", t.Truth.Name, err)
	}
	return v, nil
}

// limitOf is the limit of what leaks per unit where it stands in one of the states, 0 elsewhere: an open hypothesis
// promises nothing.
func limitOf(v *record.Verdict, per string, states ...record.HypothesisState) float64 {
	for _, h := range v.Hypotheses {
		if h.Per == per && slices.Contains(states, h.State) && (h.Class == record.Leak || h.Class == record.Metadata) {
			return h.Limit
		}
	}
	return 0
}

// ofPlant reports whether a finding alleges the plant.
func ofPlant(f record.Finding) bool {
	return f.Class.Fault() && strings.Contains(f.Site.Function, "leaks.(*plant).")
}

// PlantFigures are what planted growth shows of the printed limits.
func PlantFigures(scores []PlantScore) []Figure {
	filtered := func(keep func(s PlantScore) bool) (n, found int) {
		for _, s := range scores {
			if keep(s) {
				n++
				found += map[bool]int{true: 1}[s.Found]
			}
		}
		return n, found
	}
	at, foundAt := filtered(func(s PlantScore) bool { return !s.Half })
	half, foundHalf := filtered(func(s PlantScore) bool { return s.Half })
	claimed, foundClaimed := filtered(PlantScore.claimed)
	return []Figure{
		{Name: "live plants", Value: float64(len(scores)), N: len(scores), Goal: minPlants},
		{Name: "planted at the printed limit: found", Value: percent(foundAt, at), Unit: "%", N: at, Goal: 90},
		{Name: "planted at half of it: found", Value: percent(foundHalf, half), Unit: "%", N: half, Goal: 60, AtMost: true},
		{Name: "as large as the limit of the trial with it: missed", Value: percent(claimed-foundClaimed, claimed), Unit: "%",
			N: claimed, Goal: 5, AtMost: true},
	}
}

// minPlants is how many growths are planted into live subjects at least.
const minPlants = 100
