package profiles

import (
	"flag"
	"fmt"
	"math"
	rand "math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
)

// plantSeeds is how often each kind of growth is planted into each recording; make accuracy-plants has more.
var plantSeeds = flag.Int("plants", 1,
	"plants of each kind in each recording of a healthy subject, at the printed limit and at half of it")

const (
	// foundAtLimit and foundAtHalf are the figures asked for, and fewPlants the number below which chance decides too much
	// to ask for them.
	foundAtLimit = 0.9
	foundAtHalf  = 0.6
	fewPlants    = 100
)

// doublings are the mean of a container's capacity over its content, where capacities double and the content is as
// likely anywhere between two of them, on a scale of powers.
const doublings = 1 / math.Ln2

// grower is what a plant has in memory: objects of one size that stay, or one array that is replaced by one of twice
// its size when it is full.
type grower struct {
	size     float64 // of an object, bytes; of the first array where it doubles
	doubling bool
}

// kinds are the plants: the unit that they grow with, and what grows.
var kinds = []struct {
	name, per string
	grower    grower
}{
	{"per file", "file", grower{size: 96}},
	{"per file, in a container that doubles", "file", grower{size: 1 << 10, doubling: true}},
	{"per distinct item", "distinct-item", grower{size: 96}},
	{"per byte", "byte", grower{size: 96}},
	{"per second", "second", grower{size: 96}},
}

// tally counts what became of plants.
type tally struct{ n, found, named, healthy int }

func (c *tally) add(v *record.Verdict) {
	c.n++
	c.found += boolInt(!onlySuspected(v) && slices.ContainsFunc(v.Findings, byItsNature))
	c.named += boolInt(plantSeen(v))
	c.healthy += boolInt(v.Headline == record.Healthy)
}

func (c *tally) merge(o tally) {
	c.n, c.found, c.named, c.healthy = c.n+o.n, c.found+o.found, c.named+o.named, c.healthy+o.healthy
}

func (c *tally) share() float64 { return float64(c.found) / float64(max(1, c.n)) }

// plantPair is what became of plants of the limit, and of half of it.
type plantPair struct{ at, half tally }

// TestGrowthPlantedIntoRecordingsIsFoundAtTheirLimit plants growth of the limit that the recording of a healthy subject
// prints for the unit, and of half of it, into that recording.
func TestGrowthPlantedIntoRecordingsIsFoundAtTheirLimit(t *testing.T) {
	var mu sync.Mutex
	sums := make([]plantPair, len(kinds))
	hosts := 0
	t.Run("in", func(t *testing.T) {
		for number, name := range recorded(t) {
			r := readRight(t)[name]
			if r.Headline != record.Healthy {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				host := readReduced(t, filepath.Join(recordings, name+".json.gz"))
				s, err := host.series()
				require.NoError(t, err)
				v := diagnose(s, Options{})
				if host.Trial.Kind != record.Attribution || v.Headline != record.Healthy {
					return // it prints no limits that healthy rests on
				}
				pairs := plantAll(t, host, v, uint64(number))
				mu.Lock()
				defer mu.Unlock()
				hosts++
				for k := range pairs {
					sums[k].at.merge(pairs[k].at)
					sums[k].half.merge(pairs[k].half)
				}
			})
		}
	})
	var all plantPair
	for k, kind := range kinds {
		logPlants(t, kind.name, sums[k])
		all.at.merge(sums[k].at)
		all.half.merge(sums[k].half)
	}
	logPlants(t, fmt.Sprintf("in %d recordings", hosts), all)
	slack := 0.0
	if all.at.n < fewPlants {
		slack = 0.1
	}
	assert.GreaterOrEqual(t, all.at.share(), foundAtLimit-slack)
	assert.LessOrEqual(t, all.half.share(), foundAtHalf+slack)
	assert.Zero(t, all.at.healthy, "growth of the printed limit is called healthy")
}

// plantAll plants growth of each kind whose limit the verdict prints.
func plantAll(t *testing.T, host *reduced, v *record.Verdict, number uint64) []plantPair {
	out := make([]plantPair, len(kinds))
	for k, kind := range kinds {
		i := slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool {
			return h.Per == kind.per && (h.Class == record.Leak || h.Class == record.Metadata) && h.State == record.Excluded
		})
		if i < 0 {
			continue
		}
		limit := v.Hypotheses[i].Limit
		for seed := range uint64(*plantSeeds) {
			rnd := rand.New(rand.NewPCG(number, seed*uint64(len(kinds))+uint64(k)))
			out[k].at.add(diagnosePlant(t, host, kind.per, kind.grower, limit, rnd))
			out[k].half.add(diagnosePlant(t, host, kind.per, kind.grower, limit/2, rnd))
		}
		if *plantSeeds > 1 {
			t.Logf("growth %-38s limit %8.3g: found %3.0f %%, at half of it %3.0f %%",
				kind.name, limit, 100*out[k].at.share(), 100*out[k].half.share())
		}
	}
	return out
}

func logPlants(t *testing.T, name string, p plantPair) {
	t.Helper()
	t.Logf("growth %-38s at the limit: %3d of %3d found (%.0f %%, goal >= 90 %%), %d by name, %d called healthy; "+
		"at half of it: %3d found (%.0f %%, goal <= 60 %%)",
		name, p.at.found, p.at.n, 100*p.at.share(), p.at.named, p.at.healthy, p.half.found, 100*p.half.share())
}

// diagnosePlant judges the recording with a plant of so many bytes per unit.
func diagnosePlant(
	t *testing.T, host *reduced, per string, g grower, slope float64, rnd *rand.Rand,
) *record.Verdict {
	t.Helper()
	planted := host.plant(per, g, slope, rnd)
	s, err := planted.series()
	require.NoError(t, err)
	return diagnose(s, Options{})
}

// plant is a copy of the recording in which a line keeps so many bytes per unit of the work done: exactly in the
// runtime's account, sampled as the runtime samples in the profiles.
func (r *reduced) plant(per string, g grower, slope float64, rnd *rand.Rand) *reduced {
	trial := *r.Trial
	trial.Snapshots = slices.Clone(trial.Snapshots)
	out := &reduced{Trial: &trial, Samples: r.Samples,
		Frames: slices.Clone(r.Frames), Stacks: slices.Clone(r.Stacks), Snaps: slices.Clone(r.Snaps)}
	var at []int
	for _, fn := range []string{"plant.keep", "soak/specimens/copier.(*Engine).copy"} {
		at = append(at, len(out.Frames))
		f := blame.Frame{Function: trial.Subject.Module + "/" + fn, File: "/build/memsoak/plant/plant.go", Line: 7 + len(at)}
		out.Frames = append(out.Frames, f)
	}
	stack := int64(len(out.Stacks))
	out.Stacks = append(out.Stacks, at)
	p := planter{grower: g, rnd: rnd, phase: math.Exp2(rnd.Float64())}
	cov := record.Covariates{}
	for i := range out.Snaps {
		n := &trial.Snapshots[i]
		if n.Covariates != nil {
			cov = *n.Covariates
		}
		grown := slope * unitOf(per, cov, n.Time.Sub(trial.Snapshots[0].Time).Seconds())
		bytes, objects, sampled := p.keep(grown, float64(max(1, out.Snaps[i].Period)))
		if n.Runtime != nil {
			account := *n.Runtime
			account.HeapAlloc += int64(bytes)
			account.HeapInuse += int64(bytes)
			n.Runtime = &account
		}
		if x := &out.Snaps[i]; len(x.Heap) > 0 && objects > 0 {
			size := int64(math.Round(sampled))
			x.Heap = append(slices.Clone(x.Heap), [4]int64{stack, int64(math.Round(objects)), size, size})
		}
	}
	return out
}

// unitOf is how much of a unit there was.
func unitOf(per string, c record.Covariates, seconds float64) float64 {
	switch per {
	case "file":
		return float64(c.FilesDone)
	case "distinct-item":
		return float64(c.Distinct)
	case "byte":
		return float64(c.BytesDone)
	}
	return seconds
}

// planter keeps more and more bytes, and samples them.
type planter struct {
	grower
	rnd      *rand.Rand
	phase    float64 // by which the capacities of a container are larger than powers of two
	objects  float64 // so far
	sampled  float64 // of them
	capacity float64 // of the container
}

// keep keeps so many bytes, and says how many are there and what a profile shows of them.
func (p *planter) keep(bytes, period float64) (there, objects, sampled float64) {
	if p.doubling {
		return p.double(bytes/doublings, period)
	}
	n := math.Floor(bytes / p.size)
	chance := -math.Expm1(-p.size / period)
	for ; p.objects < n; p.objects++ {
		if p.rnd.Float64() < chance {
			p.sampled++
		}
	}
	return p.objects * p.size, p.sampled / chance, p.sampled / chance * p.size
}

// double puts the content into a container with twice the capacity where it is full.
func (p *planter) double(content, period float64) (there, objects, sampled float64) {
	for p.capacity < content {
		if p.capacity = max(2*p.capacity, p.size*p.phase); p.rnd.Float64() < -math.Expm1(-p.capacity/period) {
			p.sampled = p.capacity
		} else {
			p.sampled = 0
		}
	}
	if p.sampled == 0 {
		return p.capacity, 0, 0
	}
	chance := -math.Expm1(-p.sampled / period)
	return p.capacity, 1 / chance, p.sampled / chance
}

// TestGrowthInManySmallStepsIsFound plants growth with time into a recording whose states are so many that no step
// between two of them has a direction by itself.
func TestGrowthInManySmallStepsIsFound(t *testing.T) {
	const seeds = 8
	host := readReduced(t, filepath.Join(recordings, "cache-lru.json.gz"))
	s, err := host.series()
	require.NoError(t, err)
	hs := diagnose(s, Options{}).Hypotheses
	i := slices.IndexFunc(hs, func(h record.Hypothesis) bool { return h.Class == record.Leak && h.Per == "second" })
	require.GreaterOrEqual(t, i, 0)
	var seen tally
	for seed := range uint64(seeds) {
		seen.add(diagnosePlant(t, host, "second", grower{size: 96}, hs[i].Limit, rand.New(rand.NewPCG(7, seed))))
	}
	assert.GreaterOrEqual(t, seen.found, seeds-1)
}
