package profiles

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// serviceLab plays the runner of a service whose handler reads a body whole while it arrives and drops it then.
func serviceLab(t *testing.T, uploads bool) *series.Series {
	t.Helper()
	arriving := func(c record.Covariates) float64 {
		if c.InFlight == 0 || c.WithBody > 0 || c.AtHeader > 0 {
			return 0
		}
		return float64(c.BytesSent) / (64 << 10)
	}
	sub := &subject{sources: append(background(), &source{stack: frames("io.ReadAll", "app/web.readBody",
		"net/http.(*conn).serve"), size: 64 << 10, held: arriving})}
	l := newLab(t, sub, 8, 5)
	l.trial.Item = record.ItemRequest
	l.run(8)
	for _, h := range [][2]int64{{8, 1 << 20}, {4, 1 << 20}, {8, 4 << 20}, {4, 4 << 20}} {
		if uploads {
			l.phase("upload", false)
			l.hold(record.StateBody, h[0], h[1], 0)
			l.floor()
		}
	}
	return l.series()
}

func TestABodyThatIsHeldWhileItArrivesIsFound(t *testing.T) {
	v := diagnose(serviceLab(t, true), Options{})
	i := slices.IndexFunc(v.Findings, func(f record.Finding) bool { return f.Class == record.BufferFile })
	require.GreaterOrEqual(t, i, 0, "%+v", v.Findings)
	assert.Equal(t, "app/web.readBody", v.Findings[i].Site.Function)
	assert.Equal(t, record.HeadBuffer, v.Headline)
}

func TestAHeldStateOfAServiceThatNothingExplainsIsNoComfort(t *testing.T) {
	v := diagnose(serviceLab(t, false), Options{}) // one size of body alone: the unit of its growth is unknown
	for _, h := range v.Hypotheses {
		if h.Per == "byte-in-flight" {
			assert.NotEqual(t, record.Excluded, h.State)
		}
	}
	assert.NotEqual(t, record.Healthy, v.Headline)
}

// prefixLab plays a copier that reads the first 8 MiB of a file into memory and passes them on before the upload's
// reply.
func prefixLab(t *testing.T, sizes ...int64) *record.Verdict {
	t.Helper()
	prefix := func(c record.Covariates) float64 {
		if c.InFlight == 0 || c.WithBody > 0 || c.AtHeader > 0 {
			return 0
		}
		return float64(c.InFlight) * min(float64(c.BytesInFlight/c.InFlight), 8<<20) / (64 << 10)
	}
	sub := &subject{sources: append(background(), &source{held: prefix, size: 64 << 10,
		stack: frames("app/copier.sniff", "app/copier.run")})}
	l := newLab(t, sub, 8, 5)
	l.run(8)
	for _, size := range sizes {
		l.phase("arriving", false)
		l.hold(record.StateBody, 8, size, 0)
		l.floor()
	}
	return diagnose(l.series(), Options{})
}

func TestAPrefixInMemoryIsPerTransferWhereSizesTell(t *testing.T) {
	v := prefixLab(t, 16<<20)
	i := slices.IndexFunc(v.Findings, func(f record.Finding) bool { return f.Class == record.BufferWorker })
	require.GreaterOrEqual(t, i, 0, "%+v", v.Findings)
	assert.Equal(t, "app/copier.sniff", v.Findings[i].Site.Function)
	assert.InEpsilon(t, 8<<20, v.Findings[i].Slope.Bytes, 0.1)
	assert.Contains(t, v.Findings[i].Summary, "to 16.0 MiB were held where it shows.")

	v = prefixLab(t)
	assert.NotEqual(t, record.Healthy, v.Headline, "of larger files nothing is known")
	assert.Contains(t, strings.Join(v.Warnings, "\n"), "files of other sizes held where copier.sniff has")
}

// TestErrorsThatNeverCameExcludeNothing has phases that were to make transfers fail, and none that did.
func TestErrorsThatNeverCameExcludeNothing(t *testing.T) {
	l := newLab(t, newSubject(func() *subject { return &subject{} }), 4, 1).run(8)
	perError := func(v *record.Verdict) int {
		return slices.IndexFunc(v.Hypotheses, func(h record.Hypothesis) bool { return h.Per == "error" })
	}
	v := diagnoseLab(t, l)
	assert.Negative(t, perError(v), "nothing was to fail")
	l.trial.Phases = append(l.trial.Phases, record.Phase{Name: "errors", Kind: "errors", Files: 40})
	v = diagnoseLab(t, l)
	require.GreaterOrEqual(t, perError(v), 0)
	assert.Equal(t, record.Open, v.Hypotheses[perError(v)].State)
}

// openIn runs a synthetic trial of a source and returns what its verdict leaves open of a class and unit; empty: it is
// not open.
func openIn(t *testing.T, src source, class record.Class, per string, change func(*lab)) string {
	t.Helper()
	l := newLab(t, newSubject(func() *subject { return with(src) }), 4, 1).run(8)
	if change != nil {
		change(l)
	}
	v := diagnoseLab(t, l)
	for _, h := range v.Hypotheses {
		if h.Class == class && h.Per == per && h.State == record.Open {
			return h.Needs
		}
	}
	return ""
}

// TestAPieceOfWhichTheNextMayComeExcludesNothing has a slab that the first file made, and a table of the start.
func TestAPieceOfWhichTheNextMayComeExcludesNothing(t *testing.T) {
	slab := func(from int64) source {
		return source{stack: frames("app/slab.take"), size: 8 << 20,
			retained: func(c record.Covariates, _ float64) float64 {
				if c.FilesDone < from {
					return 0
				}
				return 1
			}}
	}
	assert.Contains(t, openIn(t, slab(1), record.Leak, "file", nil), "slab.take keeps a piece of 8.0 MiB")
	assert.Empty(t, openIn(t, slab(0), record.Leak, "file", nil), "made before any work")
}

// TestWhatStandsAtAFloorAndNotAtTheLastIsNotExcluded keeps large files until the next one.
func TestWhatStandsAtAFloorAndNotAtTheLastIsNotExcluded(t *testing.T) {
	of := func(share float64) source {
		last := int64(0)
		return source{stack: frames("app/lru.(*cache).put"), size: 64 << 10,
			held: func(c record.Covariates) float64 {
				was := last
				if last = c.BytesDone; c.InFlight > 0 || last-was < 64<<20 {
					return 0
				}
				return share * float64(last-was) / (64 << 10)
			}}
	}
	assert.Contains(t, openIn(t, of(1), record.BufferFile, "byte-in-flight", nil), "at rest after phase")
	assert.Empty(t, openIn(t, of(1./128), record.BufferFile, "byte-in-flight", nil), "below the target")
	unsized := func(l *lab) { // a service of whose work no size is known
		l.trial.Item = record.ItemRequest
		for i := range l.trial.Snapshots {
			c := l.trial.Snapshots[i].Covariates
			c.BytesInFlight, c.BytesSent, c.BytesDone = 0, 0, 0
		}
	}
	assert.Contains(t, openIn(t, of(1), record.BufferFile, "byte-in-flight", unsized), "at rest after phase")
}

// TestMuchGrowthThatNothingExplainsIsNotExcluded has growth in one step, below the targets for so much work.
func TestMuchGrowthThatNothingExplainsIsNotExcluded(t *testing.T) {
	src := source{stack: frames("app/agents.count"), size: 700,
		retained: func(c record.Covariates, _ float64) float64 {
			if c.FilesDone < 4000 {
				return 0
			}
			return 3000
		}}
	wide := func(l *lab) { l.trial.Targets = &record.Targets{Item: 4096, Count: 1, Byte: 1, Second: 1 << 20} }
	assert.Contains(t, openIn(t, src, record.Leak, "request", wide), "of growth between floors that no finding explains")
}

// TestGrowthWithoutALineIsWorthMoreWorkUntilOneHasSamples has an exact heap that grows by 100 B a file, which is below
// a wider target and at no sampled line: the runner adds work for it.
func TestGrowthWithoutALineIsWorthMoreWorkUntilOneHasSamples(t *testing.T) {
	l := newLab(t, &subject{sources: background()}, 4, 1).run(8)
	l.trial.Targets = &record.Targets{Item: 256, Count: 1, Byte: 1, Second: 1 << 20}
	for i := range l.trial.Snapshots {
		n := &l.trial.Snapshots[i]
		n.Exact, n.Runtime = true, &record.Runtime{HeapAlloc: 32<<20 + 100*n.Covariates.FilesDone}
	}
	var growing []string
	for _, h := range diagnoseLab(t, l).Hypotheses {
		if h.Growing {
			growing = append(growing, h.Per)
		}
	}
	assert.Contains(t, growing, "file")
}

func TestAnInconclusiveRunSaysWhatGrewMost(t *testing.T) {
	at := record.SiteSize{Site: record.Site{Function: "app/slab.take", File: "slab/slab.go", Line: 136}, Bytes: 32 << 20}
	rv := &record.RunVerdict{Cells: []record.Verdict{{Headline: record.Inconclusive,
		Closure: &record.Closure{Unexplained: 33 << 20, Sites: []record.SiteSize{at}}}}}
	assert.Equal(t, []string{"The trial is inconclusive: 33.0 MiB of growth that no finding explains, " +
		"32.0 MiB of it from slab.take (slab/slab.go:136); the warnings say what decides"}, answer(rv))
	rv.Cells[0].Closure.Unexplained = 4096
	assert.Equal(t, []string{"The trial is inconclusive; the warnings say what is missing"}, answer(rv))
	rv.Cells = append(rv.Cells, record.Verdict{Headline: record.Healthy})
	require.Len(t, answer(rv), 2)
	assert.Contains(t, answer(rv)[0], "1 of 2 trials is inconclusive", "what is open comes before what is fine")
	rv.Cells, rv.Lost = rv.Cells[1:], 2
	assert.Equal(t, "2 of 3 trials are without a verdict; the warnings say why", answer(rv)[0])
	assert.Contains(t, answer(rv)[1], "1 of 3 trials is healthy")
}

// TestARunSaysEachFaultThatMatters has a leak beside a queue, one too small for a line, and buffers, which are none.
func TestARunSaysEachFaultThatMatters(t *testing.T) {
	of := func(c record.Class, fn string, atPlan int64) record.Finding {
		return record.Finding{Class: c, Site: record.Site{Function: fn}, Summary: fn + " grows.", AtPlan: atPlan}
	}
	v := record.Verdict{Headline: record.HeadMetadata, Findings: []record.Finding{of(record.Metadata, "queue", 3000),
		of(record.Leak, "trail", 2000), of(record.Leak, "ids", 18), of(record.BufferWorker, "buffers", 9000)}}
	rv := &record.RunVerdict{Cells: []record.Verdict{v}}
	assert.Equal(t, []string{"queue grows. (metadata)", "Also: trail grows. (leak)"}, answer(rv))
}

// TestAHeldStateThatNothingExplainsLeavesACopierOpen keeps 3 MiB in one held state alone, where all bodies are sent.
func TestAHeldStateThatNothingExplainsLeavesACopierOpen(t *testing.T) {
	odd := source{stack: frames("app/odd.spool"), size: 64 << 10,
		held: func(c record.Covariates) float64 {
			if c.WithBody > 0 && c.BytesInFlight == c.InFlight*64<<10 {
				return 48
			}
			return 0
		}}
	assert.Contains(t, openIn(t, odd, record.BufferFile, "byte-in-flight", nil), "in the held state of phase")
}

// TestDoubtIsNoLimit has a hold of fewer transfers than asked for: of what leans on holds no limit is known, so that a
// trial under way doesn't go on for it.
func TestDoubtIsNoLimit(t *testing.T) {
	sub := &subject{sources: background()}
	s := newLab(t, sub, 8, 5).run(8).series()
	for _, n := range s.Snaps {
		if n.State == record.StateReply {
			n.Hold = &record.Hold{Asked: 2, Held: 1}
		}
	}
	some := false
	for _, h := range diagnose(s, Options{}).Hypotheses {
		if strings.Contains(h.Needs, "held 1 of the 2 transfers asked for") {
			some = true
			assert.Zero(t, h.Limit, h.Per)
			assert.Equal(t, "byte-in-flight", h.Per, "others lean on other holds")
		}
	}
	assert.True(t, some)
}
