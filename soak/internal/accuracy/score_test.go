package accuracy

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

func leakTruth() *truth.Truth {
	return &truth.Truth{
		Name: "leak-x", Headline: record.HeadLeak, Class: record.Leak, Function: "leaks.keep", File: "leaks/x.go", Line: 7,
		Slope: &truth.Slope{Bytes: 512, Per: []string{"file"}},
	}
}

func finding(class record.Class, function string, line int, bytes float64) record.Finding {
	return record.Finding{
		Class: class, Site: record.Site{Function: truth.Module + function, File: "soak/specimens/leaks/x.go", Line: line},
		BytesAtPeak: 5_000_000, Slope: &record.Slope{Bytes: bytes, Per: "file", CI95: [2]float64{bytes - 10, bytes + 10}},
	}
}

func verdict(h record.Headline, f ...record.Finding) *record.Verdict {
	return &record.Verdict{Headline: h, Outcome: record.OK, Findings: f}
}

func TestJudgeFault(t *testing.T) {
	right := finding(record.Leak, "leaks.keep", 7, 520)
	cases := map[string]struct {
		v     *record.Verdict
		right bool
		got   string
		why   string
	}{
		"right":                 {verdict(record.HeadLeak, right), true, "leak", ""},
		"no verdict":            {nil, false, "no verdict", "no verdict"},
		"inconclusive is wrong": {verdict(""), false, "inconclusive", "no finding of class leak"},
		"another function": {verdict(record.HeadLeak, finding(record.Leak, "copier.get", 7, 520)), false, "leak",
			"function: leak at copier.get"},
		"another class": {verdict(record.HeadMetadata, finding(record.Metadata, "leaks.keep", 7, 520)), false,
			"metadata", "no finding of class leak"},
		"headline does not match": {verdict(record.Healthy, right), false, "leak", "headline healthy"},
		"led by something else": {verdict(record.HeadLeak, finding(record.Metadata, "leaks.list", 9, 1), right), false,
			"metadata", "leads with metadata"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := Judge(leakTruth(), nil, c.v)
			assert.Equal(t, c.right, s.Right)
			assert.Equal(t, c.got, s.Got)
			assert.Contains(t, s.Why, c.why)
		})
	}
}

func TestJudgeSlopeAndLine(t *testing.T) {
	s := Judge(leakTruth(), nil, verdict(record.HeadLeak, finding(record.Leak, "leaks.keep", 8, 550)))
	require.NotNil(t, s.Line)
	assert.False(t, *s.Line, "line 8 is not 7")
	require.NotNil(t, s.Slope)
	assert.InDelta(t, 38.0/512, s.Slope.Error, 1e-9)
	assert.False(t, s.Slope.Covered, "540 to 560 has not 512 in it")
	assert.True(t, s.Slope.Large)

	other := finding(record.Leak, "leaks.keep", 7, 512)
	other.Slope.Per = "second"
	wrong := Judge(leakTruth(), nil, verdict(record.HeadLeak, other)).Slope
	assert.True(t, wrong.WrongUnit)
	assert.Equal(t, 1.0, wrong.Error, "a slope per something else is a wrong one, whatever its number")
	assert.False(t, wrong.Covered)
}

func TestJudgeBoundedFaultBesideAnAccusation(t *testing.T) {
	tr := &truth.Truth{Name: "worker-x", Headline: record.Healthy, Class: record.BufferWorker, Function: "buffers.take"}
	own := finding(record.BufferWorker, "buffers.take", 0, 1)
	assert.True(t, Judge(tr, nil, verdict(record.Healthy, own)).Right)
	s := Judge(tr, nil, verdict(record.Healthy, own, finding(record.Leak, "buffers.take", 0, 1)))
	assert.False(t, s.Right, "a leak is alleged as well")
	assert.Equal(t, "beside", s.Got)
}

func TestJudgeLookAlike(t *testing.T) {
	tr := &truth.Truth{Name: "ok-x", Headline: record.Healthy}
	assert.True(t, Judge(tr, nil, verdict(record.Healthy, finding(record.Cache, "x.y", 1, 1))).Right,
		"a bounded finding is no accusation")
	s := Judge(tr, nil, verdict(record.Healthy, finding(record.GoroutineLeak, "x.y", 1, 1)))
	assert.False(t, s.Right)
	assert.Equal(t, Alarm, s.Result)
	s = Judge(tr, nil, verdict(""))
	assert.False(t, s.Right, "inconclusive is wrong of healthy ones too")
	assert.Equal(t, Inconclusive, s.Result)
}

// The errors are of different weight: comfort is the worst, and to blame settings for a leak is comfort too.
func TestResultsTellComfortFromTheOtherErrors(t *testing.T) {
	leak, worker := leakTruth(), leakTruth()
	worker.Headline, worker.Class = record.Healthy, record.BufferWorker
	look := &truth.Truth{Name: "ok-x", Headline: record.Healthy, Like: "leak-x"}
	right := finding(record.Leak, "leaks.keep", 7, 512)
	elsewhere := finding(record.Metadata, "leaks.other", 7, 512)
	for name, c := range map[string]struct {
		t    *truth.Truth
		v    *record.Verdict
		want Result
	}{
		"right":                              {leak, verdict(record.HeadLeak, right), Right},
		"healthy where a leak is":            {leak, verdict(record.Healthy), Comfort},
		"healthy beside the right finding":   {leak, verdict(record.Healthy, right), Comfort},
		"headroom where a leak is":           {leak, verdict(record.HeadHeadroom), Comfort},
		"another fault where a leak is":      {leak, verdict(record.HeadMetadata, elsewhere), Misnamed},
		"inconclusive with the finding":      {leak, verdict(record.Inconclusive, right), Inconclusive},
		"the zero headline":                  {leak, verdict(""), Inconclusive},
		"no verdict":                         {leak, nil, NoVerdict},
		"healthy and nothing wrong":          {look, verdict(record.Healthy), Right},
		"a leak where nothing is":            {look, verdict(record.HeadLeak, right), Alarm},
		"settings blamed where nothing is":   {look, verdict(record.HeadHeadroom), Alarm},
		"inconclusive where nothing is":      {look, verdict(record.Inconclusive), Inconclusive},
		"a leak where a buffer is":           {worker, verdict(record.HeadLeak, right), Alarm},
		"a buffer that is not found":         {worker, verdict(record.Healthy), Misnamed},
		"a fault found healthy by the limit": {worker, verdict(record.HeadBuffer), Misnamed},
	} {
		assert.Equal(t, c.want, Judge(c.t, nil, c.v).Result, name)
	}
	first := Judge(leak, nil, verdict(record.Inconclusive, right, elsewhere))
	assert.True(t, first.NamedFirst)
	assert.False(t, Judge(leak, nil, verdict(record.Inconclusive, elsewhere, right)).NamedFirst)
	other, garbage := right, right
	other.Class, garbage.Class = record.Metadata, record.GCHeadroom
	assert.True(t, Judge(leak, nil, verdict(record.Inconclusive, other)).NamedFirst, "a fault there, of another class")
	assert.False(t, Judge(leak, nil, verdict(record.Inconclusive, garbage, right)).NamedFirst, "its garbage alone")
}

func TestJudgeCombination(t *testing.T) {
	a, b := leakTruth(), leakTruth()
	b.Function = "leaks.other"
	both := &truth.Truth{Name: "leak-x+leak-y", Headline: record.HeadLeak, Of: []string{"leak-x", "leak-y"}}
	parts := []*truth.Truth{a, b}
	one, two := finding(record.Leak, "leaks.keep", 7, 1), finding(record.Leak, "leaks.other", 7, 1)
	assert.True(t, Judge(both, parts, verdict(record.HeadLeak, two, one)).Right)
	s := Judge(both, parts, verdict(record.HeadLeak, one))
	assert.False(t, s.Right)
	assert.Equal(t, "one", s.Got)
	assert.Equal(t, "none", Judge(both, parts, verdict(record.HeadLeak)).Got)
}

func TestRemainderIsSmall(t *testing.T) {
	assert.True(t, Remainder{Bytes: -4 << 20, Total: 10 << 20}.Small())
	assert.True(t, Remainder{Bytes: 20 << 20, Total: 1 << 30}.Small())
	assert.False(t, Remainder{Bytes: -5 << 20, Total: 100 << 20}.Small())
}

// TestBuffersMayHaveKilledATrial has a subject that is healthy where there is room for its buffers: no dead trial is.
func TestBuffersMayHaveKilledATrial(t *testing.T) {
	tr := &truth.Truth{Name: "worker-pool", Headline: record.Healthy, Class: record.BufferWorker,
		Function: "buffers.newPooled"}
	f := record.Finding{Class: record.BufferWorker, Site: record.Site{Function: blame.CleanName(tr.FullFunction())}}
	v := &record.Verdict{Outcome: record.OOMKilled, Headline: record.HeadBuffer, Findings: []record.Finding{f}}
	assert.True(t, Judge(tr, nil, v).Right)
	v.Outcome = record.OK
	assert.False(t, Judge(tr, nil, v).Right, "alive, it is not the buffers' time to lead")
}
