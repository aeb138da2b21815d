package profiles

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestGrowthOutsideTheHeapThatNothingExplainsIsNamed has growth in a single step, which is no trend and no finding.
func TestGrowthOutsideTheHeapThatNothingExplainsIsNamed(t *testing.T) {
	const grown = 24 << 20
	for _, c := range []struct {
		kind  string
		class record.Class
		grow  func(n *record.Snapshot)
	}{
		{"stacks", record.GoroutineLeak, func(n *record.Snapshot) { n.Runtime.StackInuse += grown }},
		{"off-heap", record.OffHeap, func(n *record.Snapshot) { n.Process.OtherAnon += grown }},
		{"file", record.PageCache, func(n *record.Snapshot) { n.Cgroup.Shmem += grown }},
	} {
		t.Run(c.kind, func(t *testing.T) {
			t.Parallel()
			one := func(from int64) *record.Verdict {
				sub := &subject{process: func(n *record.Snapshot) {
					if n.Covariates.FilesDone >= from {
						c.grow(n)
					}
				}}
				sub.sources = background()
				return diagnoseLab(t, newLab(t, sub, 4, 11).run(10))
			}
			state := func(v *record.Verdict) record.Hypothesis {
				i := slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool { return h.Class == c.class && h.Per == "file" })
				require.GreaterOrEqual(t, i, 0)
				return v.Hypotheses[i]
			}
			always := one(0)
			assert.Equal(t, record.Healthy, always.Headline, "%q", always.Warnings)
			assert.Zero(t, always.Closure.Unexplained, "what was there from the start is no growth")

			v := one(halfDone(t, always))
			assert.Equal(t, record.Inconclusive, v.Headline)
			assert.Equal(t, record.Open, state(v).State)
			assert.Contains(t, state(v).Needs, "no finding explains")
			assert.Equal(t, c.kind, v.Closure.Kind)
			assert.InEpsilon(t, grown, v.Closure.Unexplained, 0.1)
			assert.Contains(t, v.Closure.Contrast, "floor ")
		})
	}
}

func TestAHugePageOfTheKernelIsNoGrowth(t *testing.T) {
	step := func(bytes, from int64) *record.Verdict {
		sub := &subject{process: func(n *record.Snapshot) {
			if n.Covariates.FilesDone >= from {
				n.Process.OtherAnon += bytes
			}
		}}
		sub.sources = background()
		return diagnoseLab(t, newLab(t, sub, 4, 11).run(10))
	}
	const page = 2<<20 + 8<<10
	half := halfDone(t, step(0, 0))
	assert.Equal(t, record.Healthy, step(page, half/4).Headline, "work came again, and no page with it")
	assert.Equal(t, record.Inconclusive, step(2*page, half/4).Headline, "two pages in one step")
	late := step(page, 2*half-1)
	assert.Equal(t, record.Inconclusive, late.Headline, "the work of the step did not come again")
	assert.False(t, slices.ContainsFunc(late.Findings, func(f record.Finding) bool { return f.Class == record.OffHeap }),
		"one step is no growth: %v", late.Findings)
}

// TestALittleSharedMemoryIsNamed has a mebibyte of it come in a single step: a process that asks for none has none.
func TestALittleSharedMemoryIsNamed(t *testing.T) {
	sub := &subject{process: func(n *record.Snapshot) {
		if n.Covariates.FilesDone >= 2000 {
			n.Cgroup.Shmem += 1 << 20
		}
	}}
	sub.sources = background()
	v := diagnoseLab(t, newLab(t, sub, 4, 11).run(10))
	assert.Equal(t, record.Inconclusive, v.Headline)
	assert.Equal(t, "file", v.Closure.Kind)
	assert.EqualValues(t, 1<<20, v.Closure.Unexplained)
}

// TestDescriptorsThatStayAreNotFine has files that are opened in transfers that fail and never closed, which cost no
// memory that a profile shows.
func TestDescriptorsThatStayAreNotFine(t *testing.T) {
	one := func(perFile float64, conns int64) *record.Verdict {
		sub := &subject{
			conns: func(c record.Covariates) int64 { return min(c.FilesDone, conns) },
			process: func(n *record.Snapshot) {
				n.Process.FDs = 12 + int(n.Covariates.ConnsOpen) + int(perFile*float64(n.Covariates.FilesDone))
			},
		}
		sub.sources = background()
		return diagnoseLab(t, newLab(t, sub, 4, 11).run(10))
	}
	fine := one(0, 4)
	assert.Equal(t, record.Healthy, fine.Headline, "connections are counted by themselves: %q", fine.Warnings)
	v := one(0.02, 0)
	assert.Equal(t, record.Inconclusive, v.Headline)
	i := slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool { return h.Class == record.ConnectionLeak })
	require.GreaterOrEqual(t, i, 0)
	assert.Equal(t, record.Open, v.Hypotheses[i].State)
	assert.Contains(t, v.Hypotheses[i].Needs, "more descriptors at the last floor")
}

// TestConnectionsUpToTheLimitOfDescriptorsAreALeak has a connection of each file stay until there are no descriptors
// for more. How many are open at that limit says nothing of what each file leaves.
func TestConnectionsUpToTheLimitOfDescriptorsAreALeak(t *testing.T) {
	upTo := func(most int) *record.Verdict {
		sub := &subject{process: func(n *record.Snapshot) {
			stay := min(most, int(n.Covariates.FilesDone))
			n.Process.FDs, n.Process.FDLimit = 12+stay, 12+most
			n.Process.Sockets = map[string]int{"close": stay / 2, "close-wait": stay - stay/2}
		}}
		sub.sources = background()
		return diagnoseLab(t, newLab(t, sub, 4, 11).run(10))
	}
	v := upTo(1500)
	require.Greater(t, v.Floors[len(v.Floors)-1].Files, int64(3000))
	assert.Equal(t, record.HeadLeak, v.Headline)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, record.ConnectionLeak, v.Findings[0].Class)
	assert.Contains(t, strings.Join(v.Findings[0].Evidence, "\n"), "1 per file")
	assert.Contains(t, strings.Join(v.Warnings, "\n"), "ran out of descriptors: 1")

	v = upTo(12) // before the first floor: what no reading shows is not excluded
	assert.Equal(t, record.Inconclusive, v.Headline)
	assert.Contains(t, strings.Join(v.Warnings, "\n"), "a higher limit of descriptors")
}

// halfDone is how many files a trial had done by the middle of its floors.
func halfDone(t *testing.T, v *record.Verdict) int64 {
	t.Helper()
	require.NotEmpty(t, v.Floors)
	return v.Floors[len(v.Floors)/2].Files
}

// TestMemoryThatWandersIsNotExcluded has off-heap memory that goes up and down by more than a leak would add.
func TestMemoryThatWandersIsNotExcluded(t *testing.T) {
	v := diagnoseLab(t, newLab(t, func() *subject {
		i := 0
		sub := &subject{process: func(n *record.Snapshot) {
			i++
			n.Process.OtherAnon += int64(i*7%5) * (4 << 20)
		}}
		sub.sources = background()
		return sub
	}(), 4, 11).run(10))
	i := slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool { return h.Class == record.OffHeap })
	require.GreaterOrEqual(t, i, 0)
	assert.Equal(t, record.Open, v.Hypotheses[i].State)
	assert.Greater(t, v.Hypotheses[i].Limit, v.Hypotheses[i].Target)
	assert.Equal(t, record.Inconclusive, v.Headline)
}

// TestMemoryOfFailuresIsSeenBesideABoundedArea has mappings that settings bound, a part for each transfer in flight
// that is kept, and one for each failed transfer that is never let go of.
func TestMemoryOfFailuresIsSeenBesideABoundedArea(t *testing.T) {
	one := func(perError int64) *record.Verdict {
		most := int64(0)
		sub := &subject{process: func(n *record.Snapshot) {
			most = max(most, n.Covariates.InFlight)
			n.Process.OtherAnon += most*(4<<20) + perError*n.Covariates.Failed
		}}
		sub.sources = background()
		l := newLab(t, sub, 4, 11).run(10)
		for range 2 {
			l.cov.Failed += 80
			l.wave("errors", 60, 4096, false)
		}
		return diagnoseLab(t, l)
	}
	fine := one(0)
	assert.Equal(t, record.Healthy, fine.Headline, "%q", fine.Warnings)
	assert.True(t, slices.ContainsFunc(fine.Findings, func(f record.Finding) bool {
		return f.Class == record.OffHeap && f.Slope.Per == "worker"
	}), "the part for each transfer")
	assert.True(t, slices.ContainsFunc(fine.Hypotheses, func(h record.Hypothesis) bool {
		return h.Class == record.OffHeap && h.Per == "error" && h.State == record.Excluded
	}), "what settings bound says nothing of a fault beside it")
	v := one(8 << 10)
	assert.Equal(t, record.HeadOffHeap, v.Headline, "%q", v.Warnings)
}

// TestFailuresOfOnePhaseExcludeLittle: growth with failures is believed where it shows in two phases, so that a second
// one of few failures keeps the limit high.
func TestFailuresOfOnePhaseExcludeLittle(t *testing.T) {
	limit := func(failed ...int64) float64 {
		sub := &subject{sources: background()}
		l := newLab(t, sub, 4, 11).run(10)
		for _, n := range failed {
			l.cov.Failed += n
			l.wave("errors", 60, 4096, false)
		}
		v := diagnoseLab(t, l)
		i := slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool {
			return h.Class == record.OffHeap && h.Per == "error"
		})
		require.GreaterOrEqual(t, i, 0)
		return v.Hypotheses[i].Limit
	}
	assert.InDelta(t, 1.3*(512<<10)/100, limit(50, 50), 1)
	assert.InDelta(t, 3*(64<<10)/10, limit(90, 10), 1)
	assert.Greater(t, limit(100), 200e3)
}
