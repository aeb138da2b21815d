package finding

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

func TestHeapThatWorkLeftIsNoMoreThanTheHeapGrewBy(t *testing.T) {
	row := func(live, stacks float64) *Judged {
		j := &Judged{Term: fit.Term{Unit: fit.Unit{Name: "file", Values: []float64{0, 500, 1000}},
			Slope: live + stacks, SE: 1,
			RetainedTerm: true}, Parts: map[string]float64{record.PartLive: live, record.PartStacks: stacks}, CostSE: 10}
		j.Class, j.Slope = record.Leak, &record.Slope{Bytes: live + stacks, Per: "file"}
		return j
	}
	for name, c := range map[string]struct {
		grew      int64
		container bool
		want      []float64 // bytes per file
	}{
		"said three times":        {2 << 20, false, []float64{1048.576 + 1000, 2 * 524.288}},
		"within the samples' own": {5 << 20, false, []float64{3145.728 + 1000, 3145.728}},
		"a container may double":  {2 << 20, true, []float64{3145.728 + 1000, 3145.728}},
		"nothing grew":            {0, false, []float64{3145.728 + 1000, 3145.728}},
	} {
		s := &series.Series{}
		for _, alloc := range []int64{1 << 20, 0, 1<<20 + c.grew} {
			n := &series.Snapshot{}
			n.State, n.Runtime = record.StateFloor, &record.Runtime{HeapAlloc: alloc}
			s.Snaps = append(s.Snaps, n)
		}
		s.Snaps[1].Runtime = nil
		js := []*Judged{row(3145.728, 1000), row(3145.728, 0)}
		js[1].Container = c.container
		BoundByTotal(s, js)
		for i, j := range js {
			require.InDelta(t, c.want[i], j.Bytes(), 0.01, name)
			require.InDelta(t, c.want[i], j.Slope.Bytes, 0.01, name)
		}
		require.LessOrEqual(t, js[0].CostSE, 10.0)
	}
}
