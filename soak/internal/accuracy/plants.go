package accuracy

import (
	"cmp"
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
	Bytes   float64 `json:"bytes"` // per unit
	// Limit is that which the trial with the growth prints for the unit. Trials end when they have seen enough, so that it
	// differs from the limit of the trial without growth, after which the plant was sized.
	Limit float64 `json:"limit"`
	Found bool    `json:"found"`
}

func (s PlantScore) String() string {
	return fmt.Sprintf("%-9s w%-3d %8.4g B, %3.0f %% of the limit: %s", s.Kind, s.Workers, s.Bytes,
		100*s.ofLimit(), map[bool]string{false: "not found", true: "found"}[s.Found])
}

// ofLimit is how large the growth is beside the limit of its own trial.
func (s PlantScore) ofLimit() float64 { return s.Bytes / s.Limit }

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
		done(PlantScore{Kind: kind, Seed: t.Seed, Workers: t.Workers, Bytes: share * limit, Limit: cmp.Or(own, limit),
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

// What counts as growth of the printed limit, and as growth of half of it.
const (
	atTheLimit = 0.9
	atHalf     = 0.55
)

// PlantFigures are what planted growth shows of the printed limits: of each trial's own.
func PlantFigures(scores []PlantScore) []Figure {
	var n, found [2]int
	for _, s := range scores {
		i := 0
		switch of := s.ofLimit(); {
		case of <= atHalf:
			i = 1
		case of < atTheLimit:
			continue
		}
		n[i]++
		if s.Found {
			found[i]++
		}
	}
	return []Figure{
		{Name: "live plants", Value: float64(len(scores)), N: len(scores), Goal: minPlants},
		{Name: "planted at the limit that the trial prints: found", Value: percent(found[0], n[0]), Unit: "%", N: n[0],
			Goal: 90},
		{Name: "planted at half of it: found", Value: percent(found[1], n[1]), Unit: "%", N: n[1], Goal: 60, AtMost: true},
	}
}

// minPlants is how many growths are planted into live subjects at least.
const minPlants = 100
