package accuracy

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

func figure(t *testing.T, r *Report, name string) Figure {
	t.Helper()
	for _, f := range r.Figures {
		if f.Name == name {
			return f
		}
	}
	require.Fail(t, "no figure", name)
	return Figure{}
}

func TestFigureWithoutObservationsIsMissed(t *testing.T) {
	r := Summarize(nil, nil)
	for _, f := range r.Figures {
		assert.Equal(t, f.Info, f.Met(), f.Name)
		assert.False(t, math.IsNaN(f.Value), "%s: NaN is no JSON", f.Name)
	}
}

func TestSummarizeCountsHeldOutApart(t *testing.T) {
	yes, no := true, false
	scores := []Score{
		{Specimen: "a", Kind: Fault, Right: true, Function: true, Line: &yes, Want: "leak", Got: "leak", Seconds: 4, Outcome: record.OK},
		{Specimen: "a", Kind: Fault, Function: true, Line: &no, Want: "leak", Got: "leak", Why: "headline healthy", Seconds: 8, Outcome: record.OK},
		{Specimen: "h", Kind: Fault, HeldOut: true, Want: "cache", Got: "leak", Outcome: record.OK},
		{Specimen: "ok", Kind: Look, LeakAlarm: true, Want: "healthy", Got: "leak", Seconds: 6, Outcome: record.OK},
	}
	r := Summarize(scores, nil)
	assert.InDelta(t, 100.0/3, figure(t, r, "class and culprit right").Value, 1e-9)
	assert.Zero(t, figure(t, r, "held out: class and culprit right").Value)
	assert.Equal(t, 50.0, figure(t, r, "culprit line right").Value)
	alarms := figure(t, r, "leak alarms on healthy trials")
	assert.Equal(t, 1.0, alarms.Value)
	assert.False(t, alarms.Met())
	assert.Equal(t, 6.0, figure(t, r, "time per trial, median").Value)
	assert.Equal(t, 2, r.Confusion["leak"]["leak"])
	require.Len(t, r.Wrong, 3)
	assert.Equal(t, Wrong{Specimen: "a", Wrong: 1, Of: 2, Why: "headline healthy"}, r.Wrong[0])

	var b strings.Builder
	r.Print(&b)
	assert.Contains(t, b.String(), "cache")
	assert.Regexp(t, `leak alarms on healthy trials\s+1 trials\s+<= 0 trials\s+1\s+missed`, b.String())
}

func TestCapacityFigures(t *testing.T) {
	good := CapacityScore{Predicted: 10, Survived: 11, PredictedHeld: 1020, Held: 1000}
	far := CapacityScore{Predicted: 10, Survived: 12, PredictedHeld: 900, Held: 1000}
	many := CapacityScore{Predicted: 97, Survived: 100, PredictedHeld: 1000, Held: 1000}
	assert.True(t, good.Right())
	assert.False(t, far.Right())
	assert.True(t, many.Right())
	r := Summarize(nil, []CapacityScore{good, far})
	worst, right := figure(t, r, "memory held by an unseen worker count, worst error"), figure(t, r, "capacity within one worker or 5 % of real kills")
	assert.InDelta(t, 10, worst.Value, 1e-9)
	assert.False(t, worst.Met())
	assert.InDelta(t, 50, right.Value, 1e-9)
	assert.False(t, right.Met())
	r = Summarize(nil, []CapacityScore{good, many})
	assert.True(t, figure(t, r, worst.Name).Met())
	assert.True(t, figure(t, r, right.Name).Met())
}

func TestAWrongTrialIsTriedAgain(t *testing.T) {
	plan := []Trial{{Truth: &truth.Truth{Name: "a"}, Seed: 1000, Workers: 3}, {Truth: &truth.Truth{Name: "b"}, Seed: 1000}, {Truth: &truth.Truth{Name: "ok"}, Seed: 1000}}
	first := []Score{
		{Specimen: "a", Kind: Fault, Seed: 1000, Why: "first"},
		{Specimen: "b", Kind: Fault, Seed: 1000, Right: true},
		{Specimen: "ok", Kind: Look, Seed: 1000, LeakAlarm: true},
	}
	again := Again(plan, first)
	require.Len(t, again, 2)
	assert.Equal(t, "a", again[0].Truth.Name)
	assert.NotEqual(t, plan[0].Seed, again[0].Seed)
	assert.Equal(t, int64(1000), plan[0].Seed, "the plan is left as it is")

	odd := Settle(first, []Score{
		{Specimen: "a", Kind: Fault, Seed: again[0].Seed, Right: true},
		{Specimen: "ok", Kind: Look, Seed: again[1].Seed, Right: true},
	})
	for _, f := range QuickFigures(first, odd) {
		assert.True(t, f.Met(), f.Name)
	}
	assert.Equal(t, 1.0, QuickFigures(first, odd)[0].Value, "one of three was right at once")

	twice := Settle(first, []Score{
		{Specimen: "a", Kind: Fault, Seed: again[0].Seed, Why: "second"},
		{Specimen: "ok", Kind: Look, Seed: again[1].Seed, LeakAlarm: true},
	})
	figures := QuickFigures(first, twice)
	assert.False(t, figures[1].Met(), "two of three wrong twice")
	assert.False(t, figures[2].Met(), "a leak alleged twice")
	assert.Equal(t, 1.0, figures[2].Value)

	third := Again(again, []Score{{Right: false}, {Right: true}})
	require.Len(t, third, 1)
	assert.NotEqual(t, again[0].Seed, third[0].Seed, "each trial has a seed of its own")
	right := Settle(twice, []Score{{Specimen: "a", Kind: Fault, Seed: third[0].Seed, Right: true}})
	assert.Equal(t, 2.0, QuickFigures(first, right)[1].Value, "a was right the third time")

	changed := Settle(first, []Score{{Specimen: "ok", Kind: Look, Seed: again[1].Seed, Why: "headline inconclusive"}})
	assert.True(t, QuickFigures(first, changed)[2].Met(), "alleged once")
}

// TestQuickSeesOneBrokenRule has fifty specimens: chance is tolerated, one that is wrong each time is not.
func TestQuickSeesOneBrokenRule(t *testing.T) {
	all := func(wrong int) []Score {
		s := make([]Score, 50)
		for i := range s {
			s[i] = Score{Kind: Fault, Right: i >= wrong}
		}
		return s
	}
	met := func(firsts, settled []Score) (all bool) {
		for _, f := range QuickFigures(firsts, settled) {
			if !f.Met() && f.N > 0 && f.Name != "healthy ones with leak alarms in each trial" {
				return false
			}
		}
		return true
	}
	assert.True(t, met(all(0), all(0)))
	assert.True(t, met(all(5), all(0)), "five odd trials on a busy machine")
	assert.False(t, met(all(6), all(0)), "six are less certain verdicts")
	assert.False(t, met(all(1), all(1)), "one rule is broken for one specimen")
}

// TestAllowed compares with tails of the binomial that were computed by hand.
func TestAllowed(t *testing.T) {
	assert.Equal(t, 0, Allowed(1, 0.0005, 0.001))
	assert.Equal(t, 1, Allowed(1, 0.01, 0.001))
	assert.Equal(t, 2, Allowed(10, 0.01, 0.001), "P(>1) = 0.0043, P(>2) = 0.00011")
	assert.Equal(t, 4, Allowed(50, 0.01, 0.001), "P(>3) = 0.0016, P(>4) = 0.00015")
}

func truths(t *testing.T) []*truth.Truth {
	t.Helper()
	all, err := truth.Load("../../specimens")
	require.NoError(t, err)
	return all
}

func TestPlanIsTheSameEachTimeAndVariesWorkers(t *testing.T) {
	all := truths(t)
	a, b := Plan(all, 5), Plan(all, 5)
	assert.Equal(t, a, b)
	assert.Len(t, a, 5*len(all))
	workers := map[string]map[int]bool{}
	for _, tr := range a {
		if workers[tr.Truth.Name] == nil {
			workers[tr.Truth.Name] = map[int]bool{}
		}
		workers[tr.Truth.Name][tr.Workers] = true
		assert.NotContains(t, []int{4, 8, 16}, tr.Workers, "seen in tuning")
	}
	for name, w := range workers {
		assert.Len(t, w, 5, name)
	}
}

func TestQuickHasEveryClassAndItsLookAlikes(t *testing.T) {
	all := truths(t)
	classes, quick := map[record.Class]bool{}, map[record.Class]bool{}
	for _, tr := range all {
		if !tr.HeldOut {
			classes[tr.Class] = true
		}
	}
	healthy := 0
	for _, tr := range Quick(all) {
		quick[tr.Class] = true
		assert.False(t, tr.HeldOut)
		if tr.Healthy() {
			healthy++
		}
	}
	assert.Equal(t, classes, quick)
	assert.True(t, slices.ContainsFunc(Quick(all), func(tr *truth.Truth) bool { return tr.Name == throughHelper }))
	assert.GreaterOrEqual(t, healthy, 10)
}

func TestSelect(t *testing.T) {
	all := truths(t)
	got, err := Select(all, []string{"leak-map", "ok-map"})
	require.NoError(t, err)
	assert.Len(t, got, 2)
	_, err = Select(all, []string{"leak-*", "nothing-like-it"})
	assert.ErrorContains(t, err, `no specimen matches "nothing-like-it"`)
	_, err = Select(all, []string{"["})
	assert.ErrorContains(t, err, `pattern "["`)
}
