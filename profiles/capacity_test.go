package profiles

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// beyondTheHeap are subjects whose memory is not in the live heap, 8 MiB of it in each worker with a file of 8 MiB.
var beyondTheHeap = map[string]struct {
	process func(*record.Snapshot)
	binds   string
}{
	"mapped": {func(n *record.Snapshot) { n.Process.OtherAnon += n.Covariates.BytesInFlight }, "memory outside the Go heap per byte in flight"},
	"tmpfs":  {func(n *record.Snapshot) { n.Cgroup.Shmem = n.Covariates.BytesInFlight }, "memory outside the Go heap per byte in flight"},
	"kernel": {func(n *record.Snapshot) { n.Cgroup.Kernel = n.Covariates.InFlight * 8 * mib }, "memory outside the Go heap per worker"},
	"stacks": {func(n *record.Snapshot) { n.Runtime.StackInuse += n.Covariates.InFlight * 8 * mib }, "stacks and spans partly used per worker"},
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
			rows = append(rows, observation{workers: workers, held: true, live: float64(mib + parts*part), arenas: 2 * mib, outside: 5 * mib,
				cov: record.Covariates{InFlight: n, WithBody: n, BytesInFlight: n * size, ConnsOpen: 2 * n}})
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

// streams are the states of a subject that holds nothing of its files: a queue of bounded length and, beside the heap, a
// few thousandths of the bytes in flight, as sockets' buffers look like.
func streams(live, outside func(record.Covariates) float64) *evidenceOfRun {
	e := &evidenceOfRun{}
	for _, workers := range []int64{1, 3, 10, 25, 50} {
		for i, size := range []int64{64 << 10, mib, 8 * mib, 64 * mib} {
			c := record.Covariates{InFlight: workers, WithBody: workers, BytesInFlight: workers * size, ConnsOpen: 2 * workers, Backlog: int64(500 * i)}
			e.rows = append(e.rows, observation{cell: "c", workers: int(workers), held: true, live: 2*mib + live(c), arenas: 2 * mib, outside: 5*mib + outside(c), cov: c})
		}
		e.rows = append(e.rows, observation{cell: "c", workers: int(workers), live: 2 * mib, arenas: 2 * mib, outside: 5 * mib})
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
	e.trials = []trialSize{{gathers: true}}
	require.InEpsilon(t, 300e6, e.peakModel().forecast(plan, 50).live, 0.05, "a finding says so")
}
