package capacity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/linear"
	"github.com/memsoak/memsoak/profiles/record"
)

// whole is a subject whose workers hold so much of each byte of their files, tried with 8 workers and files of 16 MiB.
func whole(t *testing.T, share float64) (*Evidence, *peakModel) {
	e := &Evidence{Trials: []trialSize{sound(8, 16*mib)}}
	for _, n := range []int64{0, 2, 4, 8} {
		for _, size := range []int64{64 << 10, 4 * mib, 16 * mib} {
			e.Rows = append(e.Rows, linear.Observation{Cell: "c", Workers: int(n), Held: n > 0, Arenas: 2 * mib,
				Outside: 5 * mib, Live: 2*mib + float64(n)*(mib+share*float64(size)),
				Cov: record.Covariates{InFlight: n, WithBody: n, BytesInFlight: n * size, ConnsOpen: 2 * n}})
		}
	}
	m := e.PeakModel()
	require.NotNil(t, m)
	return e, m
}

func TestTheLargestFileThatFits(t *testing.T) {
	e, m := whole(t, 1)
	p := costs.Plan{Limit: 512 * mib, Files: 1000}
	for workers, seen := range map[int]string{0: "16.0 MiB", 4: "16.0 MiB", 16: "16.0 MiB and 8 workers"} {
		p.Workers, p.LargestFile = workers, 0
		got := e.Capacity(m, p)
		s := got.Sizes
		n := max(workers, 8)
		if workers == 4 {
			n = 4
		}
		require.NotNil(t, s)
		assert.Equal(t, n, s.Workers)
		assert.True(t, s.Binds)
		assert.InEpsilon(t, (512-9-n)*mib/n, s.Safe, 0.1)
		assert.LessOrEqual(t, s.Safe, int64((512-9-n)*mib/n))
		assert.Less(t, s.Safe, s.Breaks)
		assert.InEpsilon(t, (512-9-n)*mib/n, s.Breaks, 0.1)
		assert.Equal(t, seen, s.Extrapolated, "beyond what was held")
		assert.Contains(t, strings.Join(got.Answer, "\n"), fmt.Sprintf("are safe in 512.0 MiB with %d workers; ", n))
		p.LargestFile = s.Safe
		assert.GreaterOrEqual(t, e.Capacity(m, p).MaxWorkers, n)
		p.LargestFile = s.Breaks
		assert.Less(t, e.Capacity(m, p).MaxWorkers, n)
	}
	p = costs.Plan{Limit: 100 * mib, Files: 1000}
	s := e.Capacity(m, p).Sizes
	assert.Less(t, s.Safe, int64(12*mib))
	assert.Empty(t, s.Extrapolated, "such files were held")
}

func TestSizesThatDoNotBindAreSaidAsFarAsTheyWereHeld(t *testing.T) {
	e, m := whole(t, 0)
	got := e.Capacity(m, costs.Plan{Limit: 512 * mib, Files: 1000})
	assert.Equal(t, &record.Sizes{Workers: 8, Safe: 16 * mib}, got.Sizes)
	assert.Contains(t, got.Answer,
		"The size of files doesn't bind with 8 workers, as far as sizes were held: up to 16.0 MiB")
	e, m = whole(t, 1)
	got = e.Capacity(m, costs.Plan{Limit: 16 * limitMost, Files: 1000})
	assert.Equal(t, &record.Sizes{Workers: 8, Safe: 16 * mib}, got.Sizes, "no file is as large as would break it")
}

func TestSizesThatAreNotKnown(t *testing.T) {
	e, m := whole(t, 1)
	p := costs.Plan{Limit: 512 * mib, Files: 1000, Workers: 17}
	got := e.Capacity(m, p)
	assert.Zero(t, got.Sizes.Safe)
	assert.Contains(t, got.Answer, "How large files may be with 17 workers is not known: 8 workers were the most of a "+
		"sound trial")
	p.Workers, p.Limit = 8, 12*mib
	got = e.Capacity(m, p)
	assert.EqualValues(t, -1, got.Sizes.Safe)
	assert.Contains(t, got.Answer, "Files of no size are safe in 12.0 MiB with 8 workers")
	p.Workers = 0
	assert.Nil(t, e.Capacity(m, p).Sizes, "no workers were asked for")
	p = costs.Plan{Limit: 900 * mib}
	e.Trials = append(e.Trials, killed(8, p.Limit))
	assert.Nil(t, e.Capacity(m, p).Sizes, "a kill vetoes")
	p.Workers, p.LargestFile = 8, mib
	s := e.Capacity(m, p).Sizes
	assert.Zero(t, s.Safe, "of smaller files no kill is known, of these one is")
	assert.Contains(t, s.Unknown, "8 were killed")
	e.Trials = []trialSize{sound(8, 0)}
	assert.Equal(t, "no files were held", e.Capacity(m, p).Sizes.Unknown)
}

func TestSettingsAreSaidWhereTheRecordingShowsThem(t *testing.T) {
	e, m := whole(t, 1)
	p := costs.Plan{Limit: 512 * mib, Files: 1000}
	assert.Empty(t, e.Capacity(m, p).Settings)
	of := func(gogc string, bytes int64) []string {
		e.Trials[0].garbage = garbageOf(&record.Verdict{Peak: record.Peak{RSS: 100 * mib},
			Findings: []record.Finding{{Class: record.Leak, BytesAtPeak: 99 * mib},
				{Class: record.GCHeadroom, BytesAtPeak: bytes}}}, gogc)
		return e.Capacity(m, p).Settings
	}
	want := "GOGC=50 where GOMEMLIMIT can't be set: at GOGC=100 40.0 MiB of a peak of 100.0 MiB were garbage; half as " +
		"much waits, for twice as many collections"
	assert.Equal(t, []string{want}, of("100", 40*mib))
	assert.Contains(t, e.Capacity(m, p).Answer, want)
	assert.Empty(t, of("100", 20*mib), "not what the peak is made of")
	assert.Empty(t, of("off", 40*mib))
	of("100", 40*mib)
	idle := e.Trials[0]
	idle.Workers, idle.headline = 2, record.Inconclusive
	e.Trials[0].garbage = garbage{}
	e.Trials = append(e.Trials, idle)
	assert.Positive(t, e.Capacity(m, p).MaxWorkers)
	assert.Empty(t, e.Capacity(m, p).Settings, "the trial supports nothing")

	e, m = whole(t, 0)
	for bytes, said := range map[float64]bool{1 << 10: false, 512 << 10: true} {
		m.costs = []record.Cost{{Class: record.BufferPool, Per: "connection", Bytes: bytes, Bounded: true}}
		got := e.Capacity(m, p)
		assert.Equal(t, said, len(got.Settings) == 1, "%v", got.Settings)
		if said {
			assert.Contains(t, got.Settings[0], fmt.Sprintf("(MaxIdleConnsPerHost=%d)", got.MaxWorkers))
		}
	}
}
