package profiles

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
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
			plan := costs.Plan{Limit: 256 * mib, LargestFile: 8 * mib, Files: 1000}
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
		got, err := Capacity(dir, costs.Plan{Limit: 256 * mib, LargestFile: 8 * mib, Files: 1000}, Options{})
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
