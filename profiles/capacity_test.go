package profiles

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// beyondTheHeap are subjects whose memory is not in the live heap, 8 MiB of it in each worker with a file of 8 MiB.
var beyondTheHeap = map[string]struct {
	process func(*record.Snapshot)
	binds   string
}{
	"mapped": {func(n *record.Snapshot) { n.Process.OtherAnon += n.Covariates.BytesInFlight },
		"memory outside the Go heap per byte in flight"},
	"tmpfs": {func(n *record.Snapshot) { n.Cgroup.Shmem = n.Covariates.BytesInFlight },
		"memory outside the Go heap per byte in flight"},
	"kernel": {func(n *record.Snapshot) { n.Cgroup.Kernel = n.Covariates.InFlight * 8 * mib },
		"memory outside the Go heap per worker"},
	"stacks": {func(n *record.Snapshot) { n.Runtime.StackInuse += n.Covariates.InFlight * 8 * mib },
		"stacks and spans partly used per worker"},
}

func TestCapacityCountsWhatIsBesideTheLiveHeap(t *testing.T) {
	for name, c := range beyondTheHeap {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			recordRun(t, dir, 3, func() *subject {
				s := leaky()
				s.sources = background()
				s.process = c.process
				return s
			})
			plan := Plan{Limit: 256 * mib, LargestFile: 8 * mib, Files: 1000}
			got, err := Capacity(dir, plan, Options{})
			require.NoError(t, err)
			require.Contains(t, got.Binds, c.binds)
			require.InDelta(t, 30, got.MaxWorkers, 1, "(256 MiB - some ten) / 8 MiB, and what is not certain")
			require.Greater(t, got.At[len(got.At)-1].PI95[1], plan.Limit, "one worker more does not fit for certain")
			if name != "stacks" {
				require.Less(t, got.GOMEMLIMIT, int64(40*mib), "what is outside is not the collector's to keep down")
			}
		})
	}
}

func TestPagesOfFilesTakeNoWorkersAway(t *testing.T) {
	capacity := func(process func(*record.Snapshot)) int {
		dir := t.TempDir()
		recordRun(t, dir, 3, func() *subject {
			s := newSubject(faults[7].make)
			s.process = process
			return s
		})
		got, err := Capacity(dir, Plan{Limit: 256 * mib, LargestFile: 8 * mib, Files: 1000}, Options{})
		require.NoError(t, err)
		return got.MaxWorkers
	}
	none := capacity(nil)
	require.Positive(t, none)
	require.Equal(t, none, capacity(func(n *record.Snapshot) {
		n.Process.File += n.Covariates.BytesInFlight
		n.Cgroup.File += n.Covariates.BytesInFlight
	}), "pressure reclaims them")
}

// A second part is allocated for files that don't fit into the first: two sizes of buffers per worker, and neither is
// proportional to the file.
func TestModelKnowsASecondPart(t *testing.T) {
	const part = 2 * mib
	var rows []observation
	for _, workers := range []int{2, 4, 8} {
		for _, size := range []int64{64 << 10, mib, 4 * mib, 16 * mib} {
			n := int64(workers)
			parts := n
			if size > part {
				parts = 2 * n
			}
			rows = append(rows, observation{workers: workers, held: true, live: float64(mib + parts*part), arenas: 2 * mib,
				outside: 5 * mib,
				cov:     record.Covariates{InFlight: n, WithBody: n, BytesInFlight: n * size, ConnsOpen: 2 * n}})
		}
		rows = append(rows, observation{workers: workers, live: mib, arenas: 2 * mib, outside: 5 * mib})
	}
	m := (&evidenceOfRun{rows: rows}).peakModel()
	require.NotNil(t, m)
	for _, size := range []int64{8 * mib, 5 << 30} {
		f := m.forecast(Plan{LargestFile: size}, 20)
		require.InEpsilon(t, mib+20*2*part, f.live, 0.03, "whatever the size of the file")
		require.InEpsilon(t, 7*mib, f.arenas+f.outside, 0.03)
	}
}

// streams are the states of a subject that holds nothing of its files: a queue of bounded length and, beside the heap,
// a few thousandths of the bytes in flight, as sockets' buffers look like.
func streams(live, outside func(record.Covariates) float64) *evidenceOfRun {
	e := &evidenceOfRun{}
	for _, workers := range []int64{1, 3, 10, 25, 50} {
		for i, size := range []int64{64 << 10, mib, 8 * mib, 64 * mib} {
			c := record.Covariates{InFlight: workers, WithBody: workers, BytesInFlight: workers * size, ConnsOpen: 2 * workers,
				Backlog: int64(500 * i)}
			e.rows = append(e.rows, observation{cell: "c", workers: int(workers), held: true, live: 2*mib + live(c),
				arenas: 2 * mib, outside: 5*mib + outside(c), cov: c})
		}
		e.rows = append(e.rows, observation{cell: "c", workers: int(workers), live: 2 * mib, arenas: 2 * mib,
			outside: 5 * mib})
	}
	return e
}

func TestWhatIsNotHeldIsNotExtrapolated(t *testing.T) {
	plan := Plan{LargestFile: 5 << 30, Files: 1_000_000}
	none := func(record.Covariates) float64 { return 0 }
	sockets := func(c record.Covariates) float64 { return 0.005 * float64(c.BytesInFlight) }
	queue := func(c record.Covariates) float64 { return 300 * float64(c.Backlog) }

	f := streams(none, sockets).peakModel().forecast(plan, 50)
	require.Less(t, f.outside, float64(64*mib), "who holds a file holds all of it")

	e := streams(queue, none)
	m := e.peakModel()
	require.Less(t, m.forecast(plan, 50).live, float64(64*mib), "no finding says that anything gathers")
	require.Contains(t, m.live.dropped, "backlog of 300 B each, but no finding says that anything gathers")
	cache := record.Cost{Class: record.Cache, Per: "distinct-item", Bytes: 100, Bounded: true, Bound: 50}
	e.trials = []trialSize{{costs: []record.Cost{cache}}}
	require.Less(t, e.peakModel().forecast(plan, 50).live, float64(64*mib), "a cache that fills is no reason")
	e.trials = []trialSize{{costs: []record.Cost{{Class: record.Leak, Per: "file", Bytes: 1}}}}
	require.InEpsilon(t, 300e6, e.peakModel().forecast(plan, 50).live, 0.05, "a finding says so")
}

// sound is a trial that did its work, ended well and was judged.
func sound(workers int, held int64) trialSize {
	return trialSize{cell: record.Cell{"workers": strconv.Itoa(workers)}, kind: record.Attribution, outcome: record.OK,
		standing: standing{workers: workers, effort: record.AllWork, judged: true, headline: record.Healthy, files: 1000,
			largest: held, held: held}}
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
	plan    Plan
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
	"a kill that the model did not foresee": {trials: []trialSize{sound(16, 48*mib), killed(20, 900*mib)},
		unknown: "20 were killed by a limit as large"},
	"a kill beyond the answer":  {trials: []trialSize{sound(16, 48*mib), killed(30, 900*mib)}, most: 22},
	"a kill by a smaller limit": {trials: []trialSize{sound(16, 48*mib), killed(20, 300*mib)}, most: 22},
	"a kill of one":             {trials: []trialSize{sound(16, 48*mib), killed(1, 900*mib)}, most: -1},
	"a kill on more work than planned": {trials: []trialSize{sound(16, 48*mib), killed(20, 900*mib)},
		plan: Plan{Files: 10}, most: 22},
	"an inconclusive trial of more workers": {trials: []trialSize{sound(16, 48*mib),
		func() trialSize { t := sound(20, 48*mib); t.headline = record.Inconclusive; return t }()},
		unknown: "is inconclusive"},
	"a trial of more workers that can't be read": {trials: []trialSize{sound(16, 48*mib),
		unread(record.Cell{"workers": "20"}, record.TrialStatus{}, 900*mib)}, unknown: "trial workers=20 can't be read"},
	"a killed trial that can't be read": {trials: []trialSize{sound(16, 48*mib),
		unread(record.Cell{"workers": "20"}, record.TrialStatus{Outcome: record.OOMKilled}, 900*mib)}, unknown: "20 were killed by a limit as large"},
	"larger files than were held": {trials: []trialSize{sound(16, 16*mib)}, plan: Plan{LargestFile: 64 * mib},
		unknown: "16.0 MiB were the largest held"},
}

func TestTrialsThatSayNothingAreNoGroundForACapacity(t *testing.T) {
	for name, c := range vetoes {
		t.Run(name, func(t *testing.T) {
			e, m := sized(t, 36*mib)
			e.trials, c.plan.Limit = c.trials, 900*mib
			got := e.capacity(m, c.plan)
			require.Equal(t, c.most, got.MaxWorkers, "%v", got.Answer)
			require.Equal(t, c.atLeast, got.AtLeast)
			require.NotEmpty(t, got.Answer)
			if c.unknown != "" {
				require.Contains(t, got.Answer[0], c.unknown)
				require.NotEmpty(t, got.Decides)
			}
			for _, x := range e.trials {
				if x.outcome == record.OOMKilled && c.plan.Files == 0 && x.killed >= c.plan.Limit {
					require.Less(t, got.MaxWorkers, x.workers)
				}
			}
		})
	}
}

func TestAKillRefutesHowManyFilesFit(t *testing.T) {
	e, fit := &evidenceOfRun{trials: []trialSize{sound(16, 48*mib), killed(8, 900*mib)}}, &record.Fit{Workers: 16,
		Per: "file", Most: 5000, Files: 5000}
	require.Contains(t, e.refuted(fit, Plan{Limit: 900 * mib}), "8 workers was killed")
	require.Empty(t, e.refuted(fit, Plan{Limit: 1800 * mib}), "a larger limit")
	require.Empty(t, e.refuted(&record.Fit{Workers: 4, Per: "file", Files: 5000}, Plan{Limit: 900 * mib}),
		"fewer workers than were killed")
	require.Empty(t, e.refuted(&record.Fit{Workers: 16, Per: "file", Files: 900}, Plan{Limit: 900 * mib}),
		"fewer files than it had")
	text := capacityText(&record.Capacity{Limit: 900 * mib, MaxWorkers: -1, FitsUnknown: e.refuted(fit,
		Plan{Limit: 900 * mib})})
	require.Contains(t, text[0], "How many files fit in 900.0 MiB is not known")
}

func TestWorkThatFitsIsSaidOfWorkersThatFit(t *testing.T) {
	_, m := sized(t, 36*mib)
	m.costs = []record.Cost{{Class: record.Leak, Per: "file", Bytes: 4 << 10, CI95: [2]float64{4 << 10, 4 << 10}}}
	plan := Plan{Limit: 900 * mib, LargestFile: 48 * mib}
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
	conclude(c, Plan{Limit: mib}, grounds{})
	nothing(c)
}
