package profiles

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

// plants is how many trials each figure of the planted growth is of.
const plants = 12

// planted are kinds of growth: the unit whose printed limit counts, and the objects that stay after the work so far
// when each unit leaves so many bytes.
var planted = []struct {
	name    string
	per     string
	objects func(slope float64, c record.Covariates, sec float64) float64
}{
	{"per file", "file", func(b float64, c record.Covariates, _ float64) float64 { return b * float64(c.FilesDone) }},
	{"per distinct item", "distinct-item", func(b float64, c record.Covariates,
		_ float64) float64 {
		return b * float64(c.Distinct)
	}},
	{"per byte", "byte", func(b float64, c record.Covariates, _ float64) float64 { return b * float64(c.BytesDone) }},
	{"per second", "second", func(b float64, _ record.Covariates, sec float64) float64 { return b * sec }},
}

// TestPlantedGrowthIsFoundAtTheLimit plants growth of the limit that a healthy trial prints, and of half of it: the
// limit is neither a boast nor a pretext.
func TestPlantedGrowthIsFoundAtTheLimit(t *testing.T) {
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			at, half := 0, 0
			for seed := range uint64(plants) {
				healthy := diagnoseLab(t, plantedLab(t, 0, p.objects, seed))
				i := slices.IndexFunc(healthy.Hypotheses, func(h record.Hypothesis) bool {
					return h.Per == p.per &&
						h.Class != record.GoroutineLeak
				})
				require.GreaterOrEqual(t, i, 0)
				require.Equal(t, record.Excluded, healthy.Hypotheses[i].State)
				limit := healthy.Hypotheses[i].Limit
				at += boolInt(plantSeen(diagnoseLab(t, plantedLab(t, limit, p.objects, seed))))
				half += boolInt(plantSeen(diagnoseLab(t, plantedLab(t, limit/2, p.objects, seed))))
			}
			t.Logf("growth %s: found at the limit %d of %d (asked for: 90 %%), at half of it %d (at most 60 %%)", p.name, at,
				plants, half)
			assert.GreaterOrEqual(t, float64(at), 0.9*plants-1)
			assert.LessOrEqual(t, float64(half), 0.6*plants)
		})
	}
}

// plantSeen reports whether a fault by nature was found at the plant.
func plantSeen(v *record.Verdict) bool {
	return slices.ContainsFunc(v.Findings, func(f record.Finding) bool {
		return costs.KindOf(f) != "" && strings.HasSuffix(f.Site.Function, "/plant.keep")
	})
}

const plantSize = 96

func plantedLab(t *testing.T, slope float64, objects func(float64, record.Covariates, float64) float64,
	seed uint64) *lab {
	sub := with(source{stack: frames("app/plant.keep", "app/copy.(*job).run"), size: plantSize,
		retained: func(c record.Covariates, sec float64) float64 { return objects(slope, c, sec) / plantSize }})
	sub.sources = append(background(), sub.sources...)
	return newLab(t, sub, 4, seed).run(8)
}
