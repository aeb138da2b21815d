package profiles

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// endOf records a free run that ends with a kill by the limit: so many light profiles, before each of which the work
// moves on.
func endOf(t *testing.T, sub *subject, limit int64, profiles int, work func(c *record.Covariates,
	k int64)) *record.Verdict {
	t.Helper()
	sub.sources = append(background(), sub.sources...)
	l := newLab(t, sub, 4, 1)
	l.trial.Kind, l.trial.Outcome, l.trial.Isolation.Limit = record.Passive, record.OOMKilled, limit
	l.phase("free", false)
	l.snap(record.StateFree, 0)
	for k := range int64(profiles) {
		l.pass(time.Second)
		work(&l.cov, k+1)
		l.snap(record.StateHigh, 0)
	}
	l.trial.Peak.Cgroup = limit
	return diagnoseLab(t, l)
}

func TestKilledByGoroutinesThatWaitForItems(t *testing.T) {
	v := endOf(t, &subject{routines: []routineSource{{stack: frames("runtime.gopark", "app/copy.(*run).worker.func1"),
		count: func(c record.Covariates) float64 { return float64(c.Backlog) * 0.9 }}}}, 180<<20, 3,
		func(c *record.Covariates, k int64) { c.FilesListed, c.Backlog, c.FilesDone = 20000*k, 20000*k-10, 10 })
	assert.Equal(t, record.HeadMetadata, v.Headline)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, "app/copy.(*run).worker", v.Findings[0].Site.Function)
	assert.Equal(t, "backlog-item", v.Findings[0].Slope.Per)
	require.NotEmpty(t, v.Costs)
	assert.InEpsilon(t, 2048, v.Costs[0].Bytes, 0.1)
}

// TestKilledWithinASecond has goroutines that were counted before most files were listed: there is none for each of
// anything, and steered states have said what they go with.
func TestKilledWithinASecond(t *testing.T) {
	sub := &subject{routines: []routineSource{{stack: frames("runtime.gopark", "app/copy.(*run).worker.func1"),
		count: func(c record.Covariates) float64 {
			if c.Backlog > 100_000 {
				return 28_500
			}
			return float64(c.Backlog)
		}}}}
	sub.sources = background()
	l := newLab(t, sub, 4, 1).run(8)
	l.trial.Outcome, l.trial.Isolation.Limit = record.OOMKilled, 128<<20
	l.phase("free", false)
	l.pass(time.Second)
	l.cov.FilesListed += 250_000
	l.cov.Backlog, l.cov.InFlight = 249_900, 34
	l.snap(record.StateHigh, 0)
	l.trial.Peak.Cgroup = 128 << 20
	v := diagnoseLab(t, l)
	assert.Equal(t, record.HeadMetadata, v.Headline, "%v", v.Warnings)
	for _, f := range v.Findings {
		assert.NotEqual(t, record.GoroutineLeak, f.Class, f.Summary)
	}
}

func TestKilledByOneBufferPerTransfer(t *testing.T) {
	s := with(source{stack: frames("bytes.growSlice", "app/copy.copyOne"), size: 1 << 20,
		held: func(c record.Covariates) float64 { return 528 * float64(c.InFlight) }})
	s.garbage = 1500 << 20
	v := endOf(t, s, 2<<30, 2, func(c *record.Covariates, k int64) {
		c.FilesListed, c.Backlog, c.InFlight, c.BytesInFlight, c.Largest = 48, 45, 3, 3*48<<20, 48<<20
	})
	assert.Equal(t, record.HeadBuffer, v.Headline, "what is live breaks the limit, not the garbage")
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, record.BufferWorker, v.Findings[0].Class)
	assert.Equal(t, "app/copy.copyOne", v.Findings[0].Site.Function)
	assert.InEpsilon(t, 528<<20, v.Findings[0].Slope.Bytes, 0.05)
}

// TestKilledBeforeTheRuntimeGaveItsAccount has a service without metrics of its own: profiles are all there is. Two of
// four transfers have made their buffer, and none is seen at either fake.
func TestKilledBeforeTheRuntimeGaveItsAccount(t *testing.T) {
	s := with(source{stack: frames("runtime.makeslice", "app/copy.copyOne"), size: 256 << 20,
		held: func(c record.Covariates) float64 { return 2 }})
	s.process = func(n *record.Snapshot) { n.Runtime = nil }
	v := endOf(t, s, 2<<30, 8, func(c *record.Covariates, k int64) { c.FilesListed, c.Backlog, c.FilesDone = 42, 30, 8 })
	assert.Equal(t, record.HeadBuffer, v.Headline)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, record.BufferWorker, v.Findings[0].Class)
	assert.Equal(t, "app/copy.copyOne", v.Findings[0].Site.Function)
	assert.InEpsilon(t, 256<<20, v.Findings[0].Slope.Bytes, 0.05)
	require.NotEmpty(t, v.Waterfall)
	assert.InEpsilon(t, 512<<20, v.Waterfall[0].Bytes, 0.1, "the waterfall is that of the peak")
}

// TestKilledInTheFreeRunByTheBacklog has the backlog vary by itself, with small objects for each item.
func TestKilledInTheFreeRunByTheBacklog(t *testing.T) {
	v := endOf(t, with(source{stack: frames("app/list.add", "app/list.(*lister).walk"), size: 400,
		held: func(c record.Covariates) float64 { return float64(c.Backlog) }}),
		32<<20, 6, func(c *record.Covariates, k int64) {
			c.FilesListed += 12000
			c.FilesDone += 1000
			c.Backlog, c.InFlight = c.FilesListed-c.FilesDone-4, 4
		})
	assert.Equal(t, record.HeadMetadata, v.Headline)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, "app/list.add", v.Findings[0].Site.Function)
	assert.InEpsilon(t, 400, v.Findings[0].Slope.Bytes, 0.15)
}

func TestKilledByGarbageIsHeadroom(t *testing.T) {
	s := &subject{garbage: 100 << 20}
	v := endOf(t, s, 110<<20, 4, func(c *record.Covariates, k int64) {
		c.FilesListed, c.FilesDone, c.InFlight = 100*k,
			90*k, 4
	})
	assert.Equal(t, record.HeadHeadroom, v.Headline)
}

func TestKilledByMemoryOutsideTheHeap(t *testing.T) {
	for name, tc := range map[string]struct {
		process func(n *record.Snapshot)
		class   record.Class
		head    record.Headline
	}{
		"mappings": {func(n *record.Snapshot) { n.Process.OtherAnon += n.Covariates.FilesDone << 16 }, record.OffHeap,
			record.HeadOffHeap},
		"tmpfs": {func(n *record.Snapshot) { n.Process.Shmem += n.Covariates.FilesDone << 16 }, record.PageCache,
			record.HeadOffHeap},
		"files":    {func(n *record.Snapshot) { n.Process.File += n.Covariates.FilesDone << 16 }, "", record.Inconclusive},
		"at start": {func(n *record.Snapshot) { n.Process.OtherAnon += 80 << 20 }, "", record.Inconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			v := endOf(t, &subject{process: tc.process}, 96<<20, 4, func(c *record.Covariates, k int64) {
				c.FilesListed, c.FilesDone, c.InFlight = 330*k, 320*k, 4
			})
			require.Equal(t, tc.head, v.Headline)
			if tc.class == "" {
				for _, f := range v.Findings {
					assert.NotContains(t, []record.Class{record.OffHeap, record.PageCache}, f.Class)
				}
				return
			}
			require.NotEmpty(t, v.Findings)
			assert.Equal(t, tc.class, v.Findings[0].Class)
			assert.Equal(t, "file", v.Findings[0].Slope.Per)
			assert.InEpsilon(t, 64<<10, v.Findings[0].Slope.Bytes, 0.05)
		})
	}
}

// watched records a free run of 30,000 files to which nothing was done, and that ended well.
func watched(t *testing.T, sub *subject, change func(*lab)) *record.Verdict {
	t.Helper()
	sub.sources = append(background(), sub.sources...)
	l := newLab(t, sub, 4, 1)
	l.trial.Kind = record.Passive
	l.phase("free", false)
	for range 10 {
		l.pass(time.Second)
		l.cov.FilesListed += 3000
		l.cov.FilesDone += 3000
		l.snap(record.StateFree, 0)
	}
	if change != nil {
		change(l)
	}
	return diagnoseLab(t, l)
}

// keeps is what retains 400 bytes of each finished file.
func keeps(stack ...string) source {
	return source{stack: frames(stack...), size: 400, retained: perFile}
}

func TestWatchedTrialNamesSuspectsOnly(t *testing.T) {
	v := watched(t, with(keeps("app/list.add", "app/list.(*lister).walk")), nil)
	assert.Equal(t, record.Inconclusive, v.Headline)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, "app/list.add", v.Findings[0].Site.Function)
}

// TestSettingsAreNotBlamedBesideASuspect has a run that came near its limit: by garbage, and by something that grows.
func TestSettingsAreNotBlamedBesideASuspect(t *testing.T) {
	near := func(l *lab) { l.trial.Isolation.Limit, l.trial.Peak.Cgroup = 128<<20, 126<<20 }
	garbage := &subject{garbage: 100 << 20}
	assert.Equal(t, record.HeadHeadroom, watched(t, garbage, near).Headline)
	leaking := with(keeps("app/list.add", "app/list.(*lister).walk"))
	leaking.garbage = 100 << 20
	v := watched(t, leaking, near)
	assert.Equal(t, record.Inconclusive, v.Headline)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, "app/list.add", v.Findings[0].Site.Function, "what grows stands before the garbage")
}

// TestTheCallerOfAHelperIsBlamedThoughTheOthersKeepNothing has two callers, of which one drops all that it gets.
func TestTheCallerOfAHelperIsBlamedThoughTheOthersKeepNothing(t *testing.T) {
	sub := with(keeps("app/handy.Padded", "app/list.(*journal).write", "app/list.(*lister).walk"))
	drops := source{stack: frames("app/handy.Padded", "app/list.header", "app/list.(*lister).walk"), size: 400,
		churn: 8 << 20}
	sub.sources = append(sub.sources, &drops)
	v := watched(t, sub, nil)
	require.NotEmpty(t, v.Findings)
	assert.Equal(t, "app/list.(*journal).write", v.Findings[0].Site.Function)
}

// TestKilledByConnectionsThatStay has them counted by the other side, or by the process alone where they go elsewhere.
func TestKilledByConnectionsThatStay(t *testing.T) {
	for name, elsewhere := range map[string]bool{"to the fakes": false, "elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			stay := func(c record.Covariates) float64 { return float64(4 * c.FilesDone / 15) }
			open := func(c record.Covariates, _ float64) float64 { return stay(c) }
			sub := &subject{sources: []*source{
				{stack: frames("bufio.NewReaderSize", "net/http.(*Transport).dialConn"), size: 4096, retained: open},
				{stack: frames("net/http.(*Client).Do", "app/copy.(*probe).ask", "app/copy.copyOne"), size: 600,
					retained: open},
			}}
			for _, loop := range []string{"readLoop", "writeLoop"} {
				sub.routines = append(sub.routines, routineSource{
					stack: frames("runtime.gopark", "net/http.(*persistConn)."+loop), count: stay})
			}
			sub.process = func(n *record.Snapshot) {
				if elsewhere {
					n.Process.Sockets = map[string]int{"established": int(stay(*n.Covariates))}
				}
			}
			v := endOf(t, sub, 64<<20, 8, func(c *record.Covariates, k int64) {
				c.FilesListed, c.FilesDone = 1500*k, 1500*k
				if !elsewhere {
					c.ConnsOpen, c.ConnsIdle = 400*k, 400*k
				}
			})
			assert.Equal(t, record.HeadLeak, v.Headline)
			require.Len(t, v.Findings, 1, "goroutines, buffers and the request's memory are one cause")
			assert.Equal(t, record.ConnectionLeak, v.Findings[0].Class)
			assert.Equal(t, "app/copy.(*probe).ask", v.Findings[0].Site.Function)
		})
	}
}
