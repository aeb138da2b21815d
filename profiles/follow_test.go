package profiles

import (
	"slices"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestMoreWorkIsAskedForWhereBuffersThatFillUpWouldGrowAlike has leaks of so many bytes a file, of which the smaller
// one would fit into buffers of the 16 workers after some 8,000 files, and the larger would not.
func TestMoreWorkIsAskedForWhereBuffersThatFillUpWouldGrowAlike(t *testing.T) {
	for _, c := range []struct {
		size float64
		want record.HypothesisState
	}{{100, record.Open}, {4000, record.Found}} {
		l := newLab(t, newSubject(func() *subject {
			return with(source{stack: frames("app/list.(*notes).add"), size: c.size, retained: perFile})
		}), 16, 1).run(8)
		dir := l.write(t.TempDir())
		hs, err := NewFollower(dir, Options{}).Update()
		require.NoError(t, err)
		assert.Equal(t, c.want, ofFiles(t, hs).State, "%v bytes while it is recorded", c.size)
		v, err := DiagnoseTrial(dir, Options{})
		require.NoError(t, err)
		assert.Equal(t, record.Found, ofFiles(t, v.Hypotheses).State, "%v bytes in the verdict", c.size)
		assert.Equal(t, record.HeadLeak, v.Headline)
	}
}

func ofFiles(t *testing.T, hs []record.Hypothesis) record.Hypothesis {
	t.Helper()
	i := slices.IndexFunc(hs, func(h record.Hypothesis) bool { return h.Class == record.Leak && h.Per == "file" })
	require.GreaterOrEqual(t, i, 0)
	return hs[i]
}

// TestGrowthThatMayHaveStoppedGetsMoreWork has rings that were full after so many bytes, early and just before the end,
// and a leak.
func TestGrowthThatMayHaveStoppedGetsMoreWork(t *testing.T) {
	for most, want := range map[int64]record.HypothesisState{200 << 20: record.Excluded, 300 << 20: record.Open,
		1 << 40: record.Found} {
		l := newLab(t, newSubject(func() *subject {
			return with(source{stack: frames("app/list.(*ring).add"), size: 4000,
				retained: func(c record.Covariates, _ float64) float64 { return float64(min(c.BytesDone, most) >> 14) }})
		}), 4, 1).run(8)
		hs, err := NewFollower(l.write(t.TempDir()), Options{}).Update()
		require.NoError(t, err)
		i := slices.IndexFunc(hs, func(h record.Hypothesis) bool { return h.Class == record.Leak && h.Per == "byte" })
		assert.Equal(t, want, hs[i].State, "at most %d of %d bytes", most, l.cov.BytesDone)
	}
}

// TestAFewErrorsAreNoLeakYet has 8 KiB kept of each failed transfer: so do a leak and a ring that isn't full.
func TestAFewErrorsAreNoLeakYet(t *testing.T) {
	l := newLab(t, newSubject(func() *subject {
		return with(source{stack: frames("app/list.(*ring).add"), size: 8192,
			retained: func(c record.Covariates, _ float64) float64 { return float64(c.Failed) }})
	}), 4, 1).run(8)
	perError := func() record.HypothesisState {
		for range 6 {
			l.cov.Failed += 30
			l.wave("wave", 60, 4096, false)
		}
		hs, err := NewFollower(l.write(t.TempDir()), Options{}).Update()
		require.NoError(t, err)
		return hs[slices.IndexFunc(hs, func(h record.Hypothesis) bool { return h.Per == "error" })].State
	}
	assert.Equal(t, record.Open, perError(), "after 180")
	assert.Equal(t, record.Found, perError(), "after 360")
}

// TestALeakWhoseLineWasNotSampledGetsMoreWork has a leak that the exact heap shows, in a process whose own sampling, of
// one allocation in 512 KiB, has not met it. One in 4 KiB would have: what has no line then has none to be waited for.
func TestALeakWhoseLineWasNotSampledGetsMoreWork(t *testing.T) {
	for rate, want := range map[int64]record.HypothesisState{512 << 10: record.Open, 4 << 10: record.Found} {
		l := newLab(t, newSubject(func() *subject {
			return with(source{stack: frames("app/list.(*notes).add"), size: 700, retained: perFile})
		}), 4, 1).run(8)
		for i := range l.trial.Snapshots {
			l.trial.Snapshots[i].Exact, l.heaps[i].Period = true, rate
			l.heaps[i].Sample = slices.DeleteFunc(l.heaps[i].Sample, func(s *profile.Sample) bool {
				return s.Location[0].Line[0].Function.Name == "app/list.(*notes).add"
			})
		}
		hs, err := NewFollower(l.write(t.TempDir()), Options{}).Update()
		require.NoError(t, err)
		assert.Equal(t, want, ofFiles(t, hs).State, "%d", rate)
	}
}

// TestALeakBelowAWiderTargetThatTheHeapShowsIsNotExcluded has a leak of 144 B a file, none of it sampled, in a trial
// that was asked for 256.
func TestALeakBelowAWiderTargetThatTheHeapShowsIsNotExcluded(t *testing.T) {
	for size, want := range map[int64]record.HypothesisState{144: record.Open, 8: record.Excluded} {
		l := newLab(t, newSubject(func() *subject {
			return with(source{stack: frames("app/list.(*notes).add"), size: float64(size), retained: perFile})
		}), 4, 1).run(8)
		l.trial.Targets = &record.Targets{Item: 256, Count: 0.05, Byte: 0.05, Second: 65536}
		for i := range l.trial.Snapshots {
			l.trial.Snapshots[i].Exact = true
			l.heaps[i].Sample = slices.DeleteFunc(l.heaps[i].Sample, func(s *profile.Sample) bool {
				return s.Location[0].Line[0].Function.Name == "app/list.(*notes).add"
			})
		}
		hs, err := NewFollower(l.write(t.TempDir()), Options{}).Update()
		require.NoError(t, err)
		assert.Equal(t, want, ofFiles(t, hs).State, "%d B: %+v", size, ofFiles(t, hs))
	}
}
