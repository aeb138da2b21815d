package profiles

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/closure"
	"github.com/memsoak/memsoak/profiles/internal/ends"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// unheldService is a trial of a service that calls no upstream: floors after waves, numbers of connections, numbers of
// requests in flight, and the memory right after the last reply of a wave.
func unheldService(t *testing.T, sub *subject, seed uint64) *record.Verdict {
	t.Helper()
	return diagnoseLab(t, unheldLab(t, sub, seed))
}

func unheldLab(t *testing.T, sub *subject, seed uint64) *lab {
	t.Helper()
	l := newLab(t, sub, 8, seed)
	l.trial.Item = record.ItemRequest
	l.phase("idle", false)
	l.snap(record.StateIdle, 2)
	for range 12 {
		l.served(120)
		l.floor()
	}
	for _, n := range []int64{32, 96} {
		l.served(n)
		l.looked(record.StateReply, record.PointConnections, func(c *record.Covariates) { c.ConnsIn, c.ConnsIdle = n, n })
	}
	for _, n := range []int64{200, 800, 2400} {
		l.served(n)
		l.looked(record.StateHeader, record.PointAnswered, func(c *record.Covariates) { c.ConnsIn, c.ConnsIdle = 8, 8 })
	}
	for _, n := range []int64{4, 8, 32} {
		l.served(400)
		l.looked(record.StateReply, record.PointRunning, func(c *record.Covariates) { c.InFlight, c.ConnsIn = n, n })
	}
	l.served(1500)
	l.floor()
	l.phase("idle-again", false)
	l.pass(5 * time.Second)
	l.floor()
	l.trial.Ended = l.now
	return l
}

// served is a phase in which so many requests are answered.
func (l *lab) served(n int64) {
	l.phase("wave", false)
	l.trial.Phases[len(l.trial.Phases)-1].Files = n
	l.cov.Waves++
	l.finish(n, 0, false)
	l.cov.FilesListed, l.cov.Pages, l.cov.Requests, l.cov.Largest = 0, 0, 0, 0
}

// looked takes a snapshot of a service that nothing holds, and a floor.
func (l *lab) looked(state record.State, point string, set func(*record.Covariates)) {
	set(&l.cov)
	l.snap(state, 2)
	n := &l.trial.Snapshots[len(l.trial.Snapshots)-1]
	n.Hold = &record.Hold{Point: point}
	l.cov.InFlight, l.cov.ConnsIn, l.cov.ConnsIdle = 0, 0, 0
	l.floor()
}

// behindReplies is what a service that answers first keeps of the requests of its last wave.
func behindReplies(left func(c record.Covariates) float64) *subject {
	return &subject{sources: append(background(), &source{stack: frames("app/web.enqueue"), size: 16 << 10, held: left})}
}

// TestWhatWaitedMayBeDoneWhereAServiceHadAllTime has a service without a fault. Where it was short of processor time
// until its last reply, the same numbers exclude work behind its replies.
func TestWhatWaitedMayBeDoneWhereAServiceHadAllTime(t *testing.T) {
	for seed := range uint64(3) {
		v := unheldService(t, &subject{sources: background()}, seed)
		assert.Equal(t, record.Inconclusive, v.Headline)
		assert.Contains(t, fmt.Sprint(v.Warnings), "wider limits: the service called no upstream")
		for _, h := range v.Hypotheses {
			want := record.Excluded
			if h.Per == "backlog-item" {
				want = record.Open
			}
			assert.Equal(t, want, h.State, "%s per %s", h.Class, h.Per)
		}
	}
	l := unheldLab(t, &subject{sources: background()}, 1)
	for i := range l.trial.Snapshots {
		if h := l.trial.Snapshots[i].Hold; h != nil && h.Point == record.PointAnswered {
			h.Share = 0.3
		}
	}
	v := diagnoseLab(t, l)
	assert.Equal(t, record.Healthy, v.Headline)
	assert.Contains(t, fmt.Sprint(v.Warnings), "while the service was short of processor time")
}

func TestWorkBehindRepliesOfAServiceThatCallsNothingIsFound(t *testing.T) {
	last := int64(0) // the last wave is the one whose requests wait
	v := unheldService(t, behindReplies(func(c record.Covariates) float64 {
		wave := c.FilesDone - last
		if last = c.FilesDone; c.ConnsIdle == 8 {
			return float64(wave) / 2
		}
		return 0
	}), 1)
	assert.Equal(t, record.HeadMetadata, v.Headline, "%v", v.Warnings)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, "app/web.enqueue", v.Findings[0].Site.Function)
	assert.Equal(t, "backlog-item", v.Findings[0].Slope.Per)
}

func TestABufferPerRequestInFlightShowsWhereNothingIsHeld(t *testing.T) {
	v := unheldService(t, &subject{sources: append(background(), &source{stack: frames("app/web.scratch"), size: 256 << 10,
		held: func(c record.Covariates) float64 { return float64(c.InFlight) }})}, 2)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, record.BufferWorker, v.Findings[0].Class)
	assert.InEpsilon(t, 256<<10, v.Findings[0].Slope.Bytes, 0.1)
}

// TestAStateOfRequestsThatComeAndGoIsLessExact has more buffers in the heap than requests in flight, as a collection
// sees them that requests end in.
func TestAStateOfRequestsThatComeAndGoIsLessExact(t *testing.T) {
	running := &series.Snapshot{Snapshot: record.Snapshot{Hold: &record.Hold{Point: record.PointRunning}}}
	s := &series.Series{Snaps: []*series.Snapshot{running, {}}}
	assert.Greater(t, fit.ModelError(s, 0), 4*fit.ModelError(s, 1))
	assert.Less(t, threshold.MinT*fit.ModelError(s, 0), 1.0, "a state that nothing explains is seen all the same")
}

func TestWorkThatFailedIsNoDeath(t *testing.T) {
	l := newLab(t, &subject{sources: append(background(), &source{stack: frames("app/web.table"), size: 8 << 20,
		retained: func(record.Covariates, float64) float64 { return 3 }})}, 4, 1).run(6)
	for outcome, alleged := range map[record.Outcome]bool{record.OOMKilled: true, record.WaveFailed: false} {
		l.trial.Outcome = outcome
		assert.Equal(t, alleged, len(ends.JudgeEnd(l.series(), nil)) > 0, string(outcome))
	}
}

// TestAPeakWithoutANameOpensARowThatAServiceHasNot has a service whose work has no size, so that no trial of it says
// anything of bytes in flight.
func TestAPeakWithoutANameOpensARowThatAServiceHasNot(t *testing.T) {
	s := unheldLab(t, &subject{sources: background()}, 3).series()
	e := judge(s, Options{})
	rows := func() []record.Hypothesis {
		other := func(h record.Hypothesis) bool { return h.Per != "byte-in-flight" }
		return slices.DeleteFunc(closure.Hypotheses(s, e), other)
	}
	require.Empty(t, rows())
	e.Unnamed = record.SiteSize{Site: record.Site{Function: "app.serve", File: "app/serve.go", Line: 7}, Bytes: 256 << 20}
	require.Len(t, rows(), 1)
	assert.Equal(t, record.Open, rows()[0].State)
	assert.Contains(t, rows()[0].Needs, "256.0 MiB, most of the live heap at the peak, are of app.serve app/serve.go:7")
}
