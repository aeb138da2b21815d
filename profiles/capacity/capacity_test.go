package capacity

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

const mib = 1 << 20

// A second part is allocated for files that don't fit into the first: two sizes of buffers per worker, and neither is
// proportional to the file.
func TestModelKnowsASecondPart(t *testing.T) {
	const part = 2 * mib
	var rows []linear.Observation
	for _, workers := range []int{2, 4, 8} {
		for _, size := range []int64{64 << 10, mib, 4 * mib, 16 * mib} {
			n := int64(workers)
			parts := n
			if size > part {
				parts = 2 * n
			}
			rows = append(rows, linear.Observation{Workers: workers, Held: true, Live: float64(mib + parts*part),
				Arenas: 2 * mib, Outside: 5 * mib,
				Cov: record.Covariates{InFlight: n, WithBody: n, BytesInFlight: n * size, ConnsOpen: 2 * n}})
		}
		rows = append(rows, linear.Observation{Workers: workers, Live: mib, Arenas: 2 * mib, Outside: 5 * mib})
	}
	m := (&Evidence{Rows: rows}).PeakModel()
	require.NotNil(t, m)
	for _, size := range []int64{8 * mib, 5 << 30} {
		f := m.Forecast(costs.Plan{LargestFile: size}, 20)
		require.InEpsilon(t, mib+20*2*part, f.Live, 0.03, "whatever the size of the file")
		require.InEpsilon(t, 7*mib, f.arenas+f.outside, 0.03)
	}
}

// streams are the states of a subject that holds nothing of its files: a queue of bounded length and, beside the heap,
// a few thousandths of the bytes in flight, as sockets' buffers look like.
func streams(live, outside func(record.Covariates) float64) *Evidence {
	e := &Evidence{}
	for _, workers := range []int64{1, 3, 10, 25, 50} {
		for i, size := range []int64{64 << 10, mib, 8 * mib, 64 * mib} {
			c := record.Covariates{InFlight: workers, WithBody: workers, BytesInFlight: workers * size, ConnsOpen: 2 * workers,
				Backlog: int64(500 * i)}
			e.Rows = append(e.Rows, linear.Observation{Cell: "c", Workers: int(workers), Held: true, Live: 2*mib + live(c),
				Arenas: 2 * mib, Outside: 5*mib + outside(c), Cov: c})
		}
		e.Rows = append(e.Rows, linear.Observation{Cell: "c", Workers: int(workers), Live: 2 * mib, Arenas: 2 * mib,
			Outside: 5 * mib})
	}
	return e
}

func TestWhatIsNotHeldIsNotExtrapolated(t *testing.T) {
	plan := costs.Plan{LargestFile: 5 << 30, Files: 1_000_000}
	none := func(record.Covariates) float64 { return 0 }
	sockets := func(c record.Covariates) float64 { return 0.005 * float64(c.BytesInFlight) }
	queue := func(c record.Covariates) float64 { return 300 * float64(c.Backlog) }

	f := streams(none, sockets).PeakModel().Forecast(plan, 50)
	require.Less(t, f.outside, float64(64*mib), "who holds a file holds all of it")

	e := streams(queue, none)
	m := e.PeakModel()
	require.Less(t, m.Forecast(plan, 50).Live, float64(64*mib), "no finding says that anything gathers")
	require.Contains(t, m.live.Dropped, "backlog of 300 B each, but no finding says that anything gathers")
	cache := record.Cost{Class: record.Cache, Per: "distinct-item", Bytes: 100, Bounded: true, Bound: 50}
	e.Trials = []trialSize{{costs: []record.Cost{cache}}}
	require.Less(t, e.PeakModel().Forecast(plan, 50).Live, float64(64*mib), "a cache that fills is no reason")
	e.Trials = []trialSize{{costs: []record.Cost{{Class: record.Leak, Per: "file", Bytes: 1}}}}
	require.InEpsilon(t, 300e6, e.PeakModel().Forecast(plan, 50).Live, 0.05, "a finding says so")
}

// sound is a trial that did its work, ended well and was judged.
func sound(workers int, held int64) trialSize {
	return trialSize{cell: record.Cell{"workers": strconv.Itoa(workers)}, outcome: record.OK,
		standing: standing{Workers: workers, effort: record.AllWork, judged: true, headline: record.Healthy, Files: 1000,
			largest: held, Held: held}}
}

// killed is the same, killed by a limit.
func killed(workers int, limit int64) trialSize {
	t := sound(workers, 16*mib)
	t.outcome, t.killed = record.OOMKilled, limit
	return t
}

// vetoes are trials beside those of 4 and 8 workers, with an estimate of some 23 at 36 MiB a worker in 900 MiB, and
// what the answer may be with them.
var vetoes = map[string]struct {
	trials  []trialSize
	plan    costs.Plan
	most    int // MaxWorkers
	atLeast bool
	unknown string
}{
	"sound trials answer": {trials: []trialSize{sound(4, 48*mib), sound(8, 48*mib),
		sound(16, 48*mib)}, most: 22},
	"no answer reaches beyond twice what was tried": {trials: []trialSize{sound(8, 48*mib)}, most: 16, atLeast: true},
	"no trial, no answer":                           {unknown: "no trial was recorded"},
	"only idle trials": {trials: []trialSize{func() trialSize { t := sound(8, 0); t.effort = record.NoWork; return t }()},
		unknown: "did no work"},
	"only half-done trials": {trials: []trialSize{func() trialSize {
		t := sound(8, 0)
		t.effort,
			t.undone = record.PartWork, "5 of 60"
		return t
	}()},
		unknown: "left work undone"},
	"only crashed trials": {trials: []trialSize{func() trialSize {
		t := sound(8, 0)
		t.outcome = record.Crashed
		return t
	}()}, unknown: "crashed"},
	"only inconclusive trials": {trials: []trialSize{func() trialSize {
		t := sound(8, 0)
		t.headline = record.Inconclusive
		return t
	}()}, unknown: "inconclusive"},
	"killed trials alone": {trials: []trialSize{killed(8, 900*mib)}, unknown: "was killed at its limit"},
	"three alike are one reason": {trials: []trialSize{killed(8, 900*mib), killed(2, 900*mib), killed(4, 900*mib)},
		unknown: "trial workers=2 was killed at its limit of 900.0 MiB (and 2 trials more)"},
	"a kill that the model did not foresee": {trials: []trialSize{sound(16, 48*mib), killed(20, 900*mib)},
		unknown: "20 were killed by a limit as large"},
	"a kill beyond the answer":  {trials: []trialSize{sound(16, 48*mib), killed(30, 900*mib)}, most: 22},
	"a kill by a smaller limit": {trials: []trialSize{sound(16, 48*mib), killed(20, 300*mib)}, most: 22},
	"a kill of one":             {trials: []trialSize{sound(16, 48*mib), killed(1, 900*mib)}, most: -1},
	"a kill on more work than planned": {trials: []trialSize{sound(16, 48*mib), killed(20, 900*mib)},
		plan: costs.Plan{Files: 10}, most: 22},
	"an inconclusive trial of more workers": {trials: []trialSize{sound(16, 48*mib),
		func() trialSize { t := sound(20, 48*mib); t.headline = record.Inconclusive; return t }()},
		unknown: "is inconclusive"},
	"a trial of more workers that can't be read": {trials: []trialSize{sound(16, 48*mib),
		Unread(record.Cell{"workers": "20"}, record.TrialStatus{}, &record.Run{Limit: 900 * mib}, &Evidence{})},
		unknown: "trial workers=20 can't be read"},
	"a killed trial that can't be read": {trials: []trialSize{sound(16, 48*mib),
		Unread(record.Cell{"workers": "20"}, record.TrialStatus{Outcome: record.OOMKilled},
			&record.Run{Limit: 900 * mib}, &Evidence{})},
		unknown: "20 were killed by a limit as large"},
	"larger files than were held": {trials: []trialSize{sound(16, 16*mib)}, plan: costs.Plan{LargestFile: 64 * mib},
		unknown: "16.0 MiB were the largest held"},
}

func TestTrialsThatSayNothingAreNoGroundForACapacity(t *testing.T) {
	for name, c := range vetoes {
		t.Run(name, func(t *testing.T) {
			e, m := sized(t, 36*mib)
			e.Trials, c.plan.Limit = c.trials, 900*mib
			got := e.Capacity(m, c.plan)
			require.Equal(t, c.most, got.MaxWorkers, "%v", got.Answer)
			require.Equal(t, c.atLeast, got.AtLeast)
			require.NotEmpty(t, got.Answer)
			if c.unknown != "" {
				require.Contains(t, got.Answer[0], c.unknown)
				require.NotEmpty(t, got.Decides)
			}
			for _, x := range e.Trials {
				if x.outcome == record.OOMKilled && c.plan.Files == 0 && x.killed >= c.plan.Limit {
					require.Less(t, got.MaxWorkers, x.Workers)
				}
			}
		})
	}
}

func TestWhatHangsOnTheMomentIsARange(t *testing.T) {
	e, m := sized(t, 36*mib)
	e.Trials = []trialSize{sound(16, 48*mib)}
	plan := costs.Plan{Limit: 900 * mib}
	require.Zero(t, e.Capacity(m, plan).Perhaps, "nothing is copied: one number")

	m.copies = series.Copies{Share: 1, Beside: 1.2}
	got := e.Capacity(m, plan)
	require.InDelta(t, 10, got.MaxWorkers, 2, "all are copied together in the worst moment")
	require.InDelta(t, 24, got.Perhaps, 1, "and none in the best")
	require.Contains(t, got.Answer, fmt.Sprintf("%d to %d may fit: it hangs on the garbage, the copies and the written "+
		"pages of the fullest moment", got.MaxWorkers+1, got.Perhaps))
	require.Contains(t, got.Answer, "What decides: soak plan RUN --limit 900MiB --largest-file 48MiB --verify")

	e.Trials = append(e.Trials, killed(20, 900*mib))
	require.Equal(t, 19, e.Capacity(m, plan).Perhaps, "no range reaches a kill")
	Verify(got, record.HeldTrial{Workers: 14, Outcome: record.OOMKilled})
	require.Equal(t, 13, got.Perhaps)
	require.Positive(t, got.MaxWorkers, "a kill above what is safe refutes nothing")
	safe := got.MaxWorkers
	for range timesVerified {
		require.Equal(t, safe, got.MaxWorkers, "what survives once may be killed")
		Verify(got, record.HeldTrial{Workers: 12, Outcome: record.OK})
	}
	require.Equal(t, 12, got.MaxWorkers)
	require.False(t, got.AtLeast, "14 were killed")
	Verify(got, record.HeldTrial{Workers: 13, Outcome: record.OOMKilled})
	require.Zero(t, got.Perhaps)
	require.NotContains(t, strings.Join(got.Answer, "\n"), "may fit")

	far := e.Capacity(m, costs.Plan{Limit: 1500 * mib})
	require.True(t, far.AtLeast, "%v: more may fit than twice what was tried", far.Answer)
	require.Zero(t, far.Perhaps)
	ample := costs.Plan{Limit: 64 << 30, LargestFile: 48 * mib, Files: 1000}
	far = e.Capacity(m, ample)
	require.Equal(t, 32, far.MaxWorkers)
	require.Subset(t, far.Assumes, assumptions(far, ample, m.Forecast(ample, 32)), "what it assumes is of as many")
	m.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 400, CI95: [2]float64{300, 500}}}
	require.Zero(t, e.Capacity(m, plan).Perhaps, "it hangs on the files")
}

// TestARangeEndsWhereNoneFit has states that differ by 24 MiB: a range that ended in the middle of the interval would
// rule out workers that fit.
func TestARangeEndsWhereNoneFit(t *testing.T) {
	e, _ := sized(t, 36*mib)
	for i := range e.Rows {
		e.Rows[i].Live += float64(i % 2 * 24 * mib)
	}
	e.Trials = []trialSize{sound(16, 48*mib)}
	m := e.PeakModel()
	plan := costs.Plan{Limit: 900 * mib}
	m.copies = series.Copies{Share: 1, Beside: 1.2}
	got := e.Capacity(m, plan)
	require.LessOrEqual(t, m.Forecast(plan, got.Perhaps).least(), 900.*mib)
	require.Greater(t, m.Forecast(plan, got.Perhaps+1).least(), 900.*mib)
	middle, most := m.perhaps(plan, 32, grounds{seen: 16})
	require.Less(t, middle, most)
	require.Equal(t, most, got.Perhaps)
}

func TestAnEndThatIsNoKillIsNotCalledOne(t *testing.T) {
	c := &record.Capacity{MaxWorkers: 8, Limit: 900 * mib, Again: " --subject a.yaml"}
	Verify(c, record.HeldTrial{Workers: 8, Outcome: record.Timeout})
	require.Zero(t, c.MaxWorkers)
	require.Zero(t, c.KilledAt)
	require.Contains(t, c.Answer[0], "8 workers ended as ")
	require.Equal(t, "soak limit --workers --limit 900MiB --subject a.yaml", c.Decides)
	c = &record.Capacity{MaxWorkers: 8, Limit: 900 * mib, GOMEMLIMIT: 800 * mib}
	Verify(c, record.HeldTrial{Workers: 8, Outcome: record.OOMKilled})
	require.Equal(t, "soak limit --workers --limit 900MiB --set gomemlimit=800MiB", c.Decides)
	none := &record.Capacity{MaxWorkers: -1, Perhaps: 3, Limit: 900 * mib}
	Verify(none, record.HeldTrial{Workers: 1, Outcome: record.OOMKilled})
	require.Zero(t, none.Perhaps)
	require.Equal(t, -1, none.MaxWorkers)
}

func TestTheRunThatDecidesIsOfTheSameSubject(t *testing.T) {
	require.Empty(t, SameAs(nil))
	require.Equal(t, ` --subject my.yaml --corpus tiny --set "mode=a b" --set uploader=x`, SameAs(map[string]any{
		"subject_file": "my.yaml", "corpus": "tiny", "set": map[string]any{"workers": "4", "uploader": "x", "mode": "a b",
			"limit": "40MiB", "gomemlimit": "36MiB"}}), "but for what the answer is about")
}

func TestAnUnforeseenKillIsNotForgottenAboveItsLimit(t *testing.T) {
	e, _ := sized(t, 36*mib)
	for name, c := range map[string]struct {
		workers int
		limit   int64
		known   bool
	}{
		"a mebibyte more":                      {8, 2049 * mib, false},
		"far more":                             {8, 16 << 30, false},
		"less, for more than were sound":       {8, 240 * mib, false},
		"less, for as many as were sound":      {8, 170 * mib, true},
		"a kill of far more than the answer's": {80, 240 * mib, true},
		"one, more":                            {1, 2049 * mib, false},
	} {
		e.Trials = []trialSize{sound(4, 48*mib), killed(c.workers, 2048*mib)}
		if c.workers == 80 {
			e.Trials[1].killed = 20 << 30
		}
		got := e.Capacity(e.PeakModel(), costs.Plan{Limit: c.limit})
		require.Equal(t, c.known, got.MaxWorkers != 0, "%s: %v", name, got.Answer)
	}
	e.Trials[1] = killed(1, 2048*mib)
	one := e.Capacity(e.PeakModel(), costs.Plan{Limit: 2048 * mib})
	require.Equal(t, -1, one.MaxWorkers)
	require.Len(t, one.Answer, 1, "a kill of one leaves no promise: %v", one.Answer)
	require.Zero(t, one.GOMEMLIMIT)
}

func TestARecordThatIsDisputedKeepsItsSettings(t *testing.T) {
	own := sound(3, 48*mib)
	own.limit = 250 * mib
	run := &record.Run{Limit: 64 * mib, Config: map[string]any{"set": map[string]any{"workers": "3"}}}
	killed := record.TrialStatus{Outcome: record.OOMKilled}
	got := Unread(nil, killed, run, &Evidence{Trials: []trialSize{own}})
	require.Equal(t, 3, got.Workers)
	require.EqualValues(t, 250*mib, got.killed, "below its own limit")
	require.Equal(t, "ended in two ways by two records", got.why())
	got = Unread(nil, killed, run, &Evidence{})
	require.Equal(t, 3, got.Workers, "by the run's settings")
	require.Equal(t, "can't be read", got.why())
}

func TestWhatGrowsWithTimeNamesThePaceItIsPricedAt(t *testing.T) {
	e, m := sized(t, 36*mib)
	e.Trials = []trialSize{sound(16, 48*mib)}
	m.Rates.Seconds = 1.0 / 400
	require.NotContains(t, strings.Join(e.Capacity(m, costs.Plan{Limit: 900 * mib}).Assumes, "\n"), "files a second")
	m.costs = []record.Cost{{Class: record.Leak, Per: "second", Bytes: 1 << 16, CI95: [2]float64{1 << 16, 1 << 16}}}
	require.Contains(t, strings.Join(e.Capacity(m, costs.Plan{Limit: 900 * mib}).Assumes, "\n"),
		"400 files a second, as in this run")
	m.Rates.Bytes = 5 << 10
	m.costs[0].Per = "byte"
	require.Contains(t, e.Capacity(m, costs.Plan{Limit: 900 * mib}).Assumes,
		"5.0 KiB a file on average, as in this run: what grows with bytes grows faster with larger files")
}

func TestAsManyFilesFitAsThePlanForThemSays(t *testing.T) {
	_, m := sized(t, 36*mib)
	m.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10, CI95: [2]float64{3 << 10, 5 << 10}}}
	plan := costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib}
	fit := m.fits(plan, grounds{seen: 8})
	plan.Files = int64(fit.Files)
	require.GreaterOrEqual(t, m.largest(plan, 64), fit.Workers)
	plan.Files++
	require.Less(t, m.largest(plan, 64), fit.Workers)
}

func TestAKillRefutesHowManyFilesFit(t *testing.T) {
	e, fit := &Evidence{Trials: []trialSize{sound(16, 48*mib), killed(8, 900*mib)}}, &record.Fit{Workers: 16,
		Per: "file", Most: 5000, Files: 5000}
	require.Contains(t, e.refuted(fit, fit.Workers, costs.Plan{Limit: 900 * mib}), "8 workers was killed")
	require.Empty(t, e.refuted(fit, fit.Workers, costs.Plan{Limit: 1800 * mib}), "a larger limit")
	require.Empty(t, e.refuted(&record.Fit{Workers: 4, Per: "file", Files: 5000}, 4, costs.Plan{Limit: 900 * mib}),
		"fewer workers than were killed")
	require.Empty(t, e.refuted(&record.Fit{Workers: 16, Per: "file", Files: 900}, 16, costs.Plan{Limit: 900 * mib}),
		"fewer files than it had")
	text := words.Capacity(&record.Capacity{Limit: 900 * mib, MaxWorkers: -1, FitsUnknown: e.refuted(fit, 16,
		costs.Plan{Limit: 900 * mib})})
	require.Contains(t, text[0], "How many files fit in 900.0 MiB is not known")
}

func TestWorkThatFitsIsSaidOfWorkersThatFit(t *testing.T) {
	_, m := sized(t, 36*mib)
	m.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10, CI95: [2]float64{4 << 10, 4 << 10}}}
	plan := costs.Plan{Limit: 900 * mib, LargestFile: 48 * mib}
	few := m.fits(plan, grounds{seen: 8})
	require.Equal(t, 8, few.Workers)
	many := m.fits(plan, grounds{seen: 64})
	require.Greater(t, many.Workers, 8)
	require.LessOrEqual(t, many.Workers, 23, "no more fit, even without a file that stays")
	require.Less(t, many.Files, few.Files)
	plan.Files = int64(few.Files)
	require.GreaterOrEqual(t, m.largest(plan, 64), few.Workers, "the plan for as many files says the same")
	plan.Limit = 20 * mib
	require.Nil(t, m.fits(plan, grounds{seen: 8}), "not one worker fits")
}

func TestAnAnswerTakenBackLeavesNothingToRestOn(t *testing.T) {
	answer := func() *record.Capacity {
		return &record.Capacity{MaxWorkers: 8, Estimate: 8, Mended: 12, Fits: &record.Fit{Files: 100}}
	}
	nothing := func(c *record.Capacity) {
		require.Zero(t, c.MaxWorkers)
		require.Zero(t, c.Mended)
		require.Nil(t, c.Fits)
	}
	c := answer()
	Verify(c, record.HeldTrial{Workers: 8, Outcome: record.OOMKilled})
	nothing(c)
	c = answer()
	c.Unknown = []string{"it hangs on a size"}
	conclude(c, costs.Plan{Limit: mib}, grounds{})
	nothing(c)
}
