package accuracy

import (
	"math"
	"os"
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
	r := Summarize(nil, nil, nil)
	for _, f := range r.Figures {
		assert.Equal(t, f.Info, f.Met(), f.Name)
		assert.False(t, math.IsNaN(f.Value), "%s: NaN is no JSON", f.Name)
	}
}

func TestFiguresOfServicesCountNoCopier(t *testing.T) {
	r := &Report{Figures: ServiceFigures([]Score{
		{Kind: Fault, Faulty: true, Result: Right, Right: true, Seconds: 4}, {Kind: Fault, Faulty: true, Result: Comfort,
			Seconds: 8},
		{Kind: Look, Result: Right, Right: true, Seconds: 6}, {Kind: Look, Result: Right, Right: true, Seconds: 6},
	})}
	assert.Equal(t, 75.0, figure(t, r, "services: class and culprit right").Value)
	assert.False(t, figure(t, r, "services: class and culprit right").Met())
	assert.Equal(t, 1.0, figure(t, r, "services: wrong comfort").Value)
	assert.False(t, figure(t, r, "services: wrong comfort").Met())
	assert.True(t, figure(t, r, "services: wrong alarms on healthy ones").Met())
	for _, f := range ServiceFigures(nil) {
		assert.Equal(t, f.Info, f.Met(), "%s without trials", f.Name)
	}
}

func TestSummarizeCountsErrorsByConditionAndHeldOutApart(t *testing.T) {
	yes, no := true, false
	scores := []Score{
		{Condition: Quiet, Specimen: "a", Kind: Fault, Faulty: true, Result: Right, Right: true, Function: true, Line: &yes,
			Want: "leak", Got: "leak", Seconds: 4},
		{Condition: Quiet, Specimen: "a", Kind: Fault, Faulty: true, Result: Comfort, Function: true, Line: &no, Want: "leak",
			Got: "leak", Why: "headline healthy", Seconds: 8},
		{Condition: Quiet, Specimen: "h", Kind: Fault, HeldOut: true, Result: Misnamed, Want: "cache", Got: "leak"},
		{Condition: Quiet, Specimen: "ok", Kind: Look, Result: Alarm, Want: "healthy", Got: "leak", Seconds: 6},
		{Condition: "one-worker", Specimen: "a", Kind: Fault, Faulty: true, Result: Inconclusive},
		{Condition: "passive", Specimen: "a", Kind: Fault, Faulty: true, Result: Inconclusive, NamedFirst: true},
	}
	r := Summarize(scores, nil, nil)
	comfort := figure(t, r, "quiet: wrong comfort")
	assert.Equal(t, 1.0, comfort.Value)
	assert.False(t, comfort.Met())
	assert.Equal(t, 25.0, figure(t, r, "quiet: class and culprit right").Value)
	assert.True(t, figure(t, r, "one-worker: wrong comfort").Met(), "inconclusive comforts nobody")
	assert.Zero(t, figure(t, r, "one-worker: faults right").Value)
	assert.Equal(t, 100.0, figure(t, r, "passive: culprit named first").Value)
	assert.Zero(t, figure(t, r, "once held out, seen since: class and culprit right").Value)
	assert.Equal(t, 50.0, figure(t, r, "culprit line right").Value)
	assert.Equal(t, 1.0, figure(t, r, "wrong alarms on healthy subjects, all conditions").Value)
	assert.Equal(t, 6.0, figure(t, r, "time per trial, median").Value)
	assert.Equal(t, 2, r.Confusion["leak"]["leak"])
	require.Len(t, r.Wrong, 5)
	assert.Contains(t, r.Wrong, Wrong{Specimen: "a", Wrong: 1, Of: 2, Why: "wrong comfort: headline healthy"})

	var b strings.Builder
	r.Print(&b)
	assert.Regexp(t, `quiet +4 +1 +1 of 2 +50 % +1 +0 +1 `, b.String())
	assert.Regexp(t, `quiet: wrong comfort\s+1 trials\s+<= 0 trials\s+2\s+missed`, b.String())
}

// A figure that has been judged again from a recording counts nowhere but in its own column.
func TestRecordingsJudgedAgainCountInNoFigure(t *testing.T) {
	r := Summarize([]Score{
		{Condition: Quiet, Specimen: "a", Kind: Fault, Faulty: true, Result: Right, Right: true, Again: true},
		{Condition: Quiet, Specimen: "b", Kind: Fault, Faulty: true, Result: Comfort, Again: true},
	}, nil, nil)
	require.Len(t, r.Conditions, 1)
	assert.Equal(t, Tally{Condition: Quiet, Again: 2, AgainRight: 1, AgainComfort: 1}, r.Conditions[0])
	assert.False(t, figure(t, r, "quiet: class and culprit right").Met(), "not measured")
	assert.False(t, figure(t, r, "quiet: wrong comfort").Met(), "not measured")
}

func TestNoComfortOfFewFaultsBoundsLittle(t *testing.T) {
	assert.Equal(t, 1.0, Tally{}.Bound())
	assert.Equal(t, 0.1, Tally{Faults: 30}.Bound())
	assert.Equal(t, 0.5, Tally{Faults: 2, Comfort: 1}.Bound())
}

func TestCapacityFigures(t *testing.T) {
	good := CapacityScore{Predicted: 10, Survived: 11, PredictedHeld: 1020, Held: 1000}
	far := CapacityScore{Predicted: 10, Survived: 12, PredictedHeld: 900, Held: 1000}
	many := CapacityScore{Predicted: 97, Survived: 100, PredictedHeld: 1000, Held: 1000}
	assert.True(t, good.Right())
	assert.False(t, far.Right())
	assert.True(t, many.Right())
	r := Summarize(nil, []CapacityScore{good, far}, nil)
	worst, right := figure(t, r, "memory held by an unseen worker count, worst error"),
		figure(t, r, "capacity within one worker or 5 % of real kills")
	assert.InDelta(t, 10, worst.Value, 1e-9)
	assert.False(t, worst.Met())
	assert.InDelta(t, 50, right.Value, 1e-9)
	assert.False(t, right.Met())
	r = Summarize(nil, []CapacityScore{good, many}, nil)
	assert.True(t, figure(t, r, worst.Name).Met())
	assert.True(t, figure(t, r, right.Name).Met())
}

// A condition that takes hours stays in the table, as an older one, until it runs again.
func TestConditionsThatDidNotRunStay(t *testing.T) {
	before := []Tally{{Condition: Quiet, Trials: 7, Faults: 7}, {Condition: "passive", Trials: 5, Faults: 3, Comfort: 1}}
	r := Summarize([]Score{{Condition: Quiet, Specimen: "a", Kind: Fault, Faulty: true, Result: Right, Right: true}}, nil,
		before)
	require.Len(t, r.Conditions, 2)
	assert.Equal(t, 1, r.Conditions[0].Trials, "what ran replaces what was there")
	assert.Equal(t, Tally{Condition: "passive", Trials: 5, Faults: 3, Comfort: 1, Older: true}, r.Conditions[1])
	assert.Equal(t, 6, r.Trials)
	assert.False(t, figure(t, r, "passive: wrong comfort").Met())
	assert.Contains(t, markdownTallies(r.Conditions), "| passive (older) | 5 |")
}

func TestAWrongTrialIsTriedAgain(t *testing.T) {
	plan := []Trial{{Truth: &truth.Truth{Name: "a"}, Seed: 1000, Workers: 3}, {Truth: &truth.Truth{Name: "b"}, Seed: 1000},
		{Truth: &truth.Truth{Name: "ok"}, Seed: 1000}}
	first := []Score{
		{Specimen: "a", Kind: Fault, Faulty: true, Seed: 1000, Why: "first"},
		{Specimen: "b", Kind: Fault, Faulty: true, Seed: 1000, Right: true},
		{Specimen: "ok", Kind: Look, Seed: 1000, Result: Alarm},
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
	comforted := slices.Clone(first)
	comforted[0].Result, comforted[0].Faulty = Comfort, true
	assert.False(t, QuickFigures(comforted, odd)[0].Met(), "comfort is no chance")
	assert.Equal(t, 1.0, QuickFigures(first, odd)[1].Value, "one of three was right the first time")

	twice := Settle(first, []Score{
		{Specimen: "a", Kind: Fault, Seed: again[0].Seed, Why: "second"},
		{Specimen: "ok", Kind: Look, Seed: again[1].Seed, Result: Alarm},
	})
	figures := QuickFigures(first, twice)
	assert.False(t, figures[2].Met(), "two of three wrong twice")
	assert.False(t, figures[3].Met(), "a leak alleged twice")
	assert.Equal(t, 1.0, figures[3].Value)

	third := Again(again, []Score{{Right: false}, {Right: true}})
	require.Len(t, third, 1)
	assert.NotEqual(t, again[0].Seed, third[0].Seed, "each trial has a seed of its own")
	right := Settle(twice, []Score{{Specimen: "a", Kind: Fault, Seed: third[0].Seed, Right: true}})
	assert.Equal(t, 2.0, QuickFigures(first, right)[2].Value, "a was right the third time")

	changed := Settle(first, []Score{{Specimen: "ok", Kind: Look, Seed: again[1].Seed, Why: "headline inconclusive"}})
	assert.True(t, QuickFigures(first, changed)[3].Met(), "alleged once")
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
			if !f.Met() && f.N > 0 && f.Name != "healthy ones with alarms in each trial" {
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
	a, b := Plan(all, Conditions[0], 5), Plan(all, Conditions[0], 5)
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
		if !tr.Apart() {
			classes[tr.Class] = true
		}
	}
	healthy := 0
	for _, tr := range Quick(all) {
		quick[tr.Class] = true
		assert.False(t, tr.Apart())
		if tr.Healthy() {
			healthy++
		}
	}
	assert.Equal(t, classes, quick)
	assert.True(t, slices.ContainsFunc(Quick(all), func(tr *truth.Truth) bool { return tr.Name == throughHelper }))
	assert.GreaterOrEqual(t, healthy, 10)
}

func TestEachHardConditionHasAsManyFaultsAsLookAlikes(t *testing.T) {
	all := truths(t)
	for _, c := range Conditions[1:] {
		sample := Sample(all, c, HardPairs)
		faults := len(slices.DeleteFunc(slices.Clone(sample), (*truth.Truth).Healthy))
		assert.Len(t, sample, 2*HardPairs, c.Name)
		assert.Equal(t, HardPairs, faults, c.Name)
		assert.Equal(t, sample, Sample(all, c, HardPairs), "the same each time")
		for _, tr := range sample {
			assert.False(t, tr.Apart(), tr.Name)
		}
	}
	assert.NotEqual(t, Sample(all, Conditions[1], 5), Sample(all, Conditions[2], 5))
}

func TestAConditionSetsWhatItSays(t *testing.T) {
	dir := t.TempDir()
	of := func(name string, workers int) map[string]string {
		c, err := SelectConditions(name)
		require.NoError(t, err)
		s, err := c[0].settings(Trial{Truth: &truth.Truth{Name: "leak-x"}, Condition: c[0], Workers: workers}, dir)
		require.NoError(t, err)
		return s
	}
	assert.Equal(t, map[string]string{"specimen": "leak-x", "workers": "3"}, of(Quiet, 3))
	assert.Equal(t, "0.1", of("cpu-tenth", 3)["cpu_limit"])
	plan, err := os.ReadFile(of("20-files-a-second", 5)["s3_faults"])
	require.NoError(t, err)
	assert.Contains(t, string(plan), "latency: 250ms", "five workers, each four files a second")
	far := of("latency-200ms", 5)
	for _, party := range []string{"drive_faults", "s3_faults"} {
		plan, err := os.ReadFile(far[party])
		require.NoError(t, err)
		assert.Equal(t, "rules: [{latency: 200ms}]\n", string(plan))
	}
	all, err := SelectConditions("all")
	require.NoError(t, err)
	assert.Equal(t, Conditions, all)
	_, err = SelectConditions("quiet,loud")
	assert.ErrorContains(t, err, `no condition "loud"`)
	one := Plan([]*truth.Truth{{Name: "leak-x"}}, Conditions[slices.IndexFunc(Conditions,
		func(c Condition) bool { return c.Name == "one-worker" })], 2)
	assert.Equal(t, 1, one[0].Workers)
	assert.Equal(t, 1, one[1].Workers)
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

// Doubt is honest under a hard condition, and wrong on a quiet machine; but not all faults may end in it.
func TestQuickTakesDoubtUnderHardConditions(t *testing.T) {
	hard := func(r Result) Score {
		return Score{Specimen: "a", Kind: Fault, Faulty: true, Condition: "one-worker", Result: r, Right: r == Right}
	}
	fine := Score{Specimen: "ok", Kind: Look, Condition: Quiet, Result: Right, Right: true}
	met := func(scores ...Score) (all []bool) {
		scores = append(scores, fine)
		for _, f := range QuickFigures(scores, scores) {
			all = append(all, f.Met())
		}
		return all
	}
	assert.Equal(t, []bool{true, true, true, true, true}, met(hard(Right), hard(Inconclusive)))
	assert.Equal(t, []bool{true, true, true, true, false}, met(hard(Inconclusive), hard(Inconclusive)), "none told")
	assert.False(t, met(hard(Comfort), hard(Right))[0])
	quiet := hard(Inconclusive)
	quiet.Condition = Quiet
	assert.False(t, met(quiet)[2], "a quiet machine leaves no doubt")
}

func TestAPlantOfLessThanAByteIsNamedByItsSize(t *testing.T) {
	assert.Equal(t, "plant-byte-521", plantName("byte", 0.0005207))
	assert.Equal(t, "plant-second-27158310000", plantName("second", 27158.31))
}

func TestSlopesFarAboveTheLimitAreJudgedByATenth(t *testing.T) {
	slope := func(want, error, limit float64, unit string) Score {
		return Score{Condition: Quiet, Kind: Fault, Limit: limit,
			Slope: &SlopeScore{Want: want, Error: error, Unit: unit}}
	}
	r := Summarize([]Score{slope(500, 0.09, 50, "file"), slope(500, -0.11, 50, "backlog-item"),
		slope(499, 1, 50, "file"), slope(500, 1, 0, "file"), slope(500, 1, 50, "byte")}, nil, nil)
	f := figure(t, r, "whole cost within 10 %, from ten times the limit on")
	assert.Equal(t, 2, f.N)
	assert.Equal(t, 50.0, f.Value)
}

func TestEffortIsComparedWithWhatSamplingAsks(t *testing.T) {
	of := func(files int64, limit float64) Score { return Score{Condition: Quiet, Files: files, Limit: limit} }
	r := Summarize([]Score{of(4096, 29.1), of(8192, 29.1), of(4096, 58.2), of(1000, 0)}, nil, nil)
	f := figure(t, r, "files over the least for the limit reached, median")
	assert.Equal(t, 3, f.N)
	assert.InDelta(t, 2, f.Value, 1e-9)
	assert.False(t, f.Met())
}

func TestPlantFigures(t *testing.T) {
	scores := []PlantScore{{Bytes: 40, Limit: 20, Found: true}, {Bytes: 40, Found: true},
		{Bytes: 40, Limit: 80}, // its own trial is sure from 80 on only
		{Half: true, Bytes: 20, Limit: 20}, {Half: true, Bytes: 20, Limit: 41},
		{Half: true, Bytes: 20, Limit: 10, Found: true}}
	r := &Report{Figures: PlantFigures(scores)}
	assert.Equal(t, 6.0, figure(t, r, "live plants").Value)
	assert.False(t, figure(t, r, "live plants").Met(), "too few to tell")
	assert.InDelta(t, 66.7, figure(t, r, "planted at the printed limit: found").Value, 0.1)
	half := figure(t, r, "planted at half of it: found")
	assert.InDelta(t, 33.3, half.Value, 0.1)
	assert.Equal(t, 3, half.N)
	assert.True(t, half.Met())
	missed := figure(t, r, "as large as the limit of the trial with it: missed")
	assert.Equal(t, 3, missed.N)
	assert.InDelta(t, 33.3, missed.Value, 0.1)
	for _, f := range PlantFigures(nil) {
		assert.False(t, f.Met(), f.Name)
	}
}
