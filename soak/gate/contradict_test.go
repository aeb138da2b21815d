package gate

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

const mib = 1 << 20

// peaking is a healthy run whose diagnosed trial peaks at so many bytes.
func peaking(bytes int64) recorded {
	c := healthy()
	c.change = func(t *record.Trial) {
		if t.Kind == record.Attribution {
			t.Peak.Charged = bytes
		}
	}
	return c
}

func TestAPeakThatRoseFailsWhateverElseIsBetter(t *testing.T) {
	text := func(peak int64) (string, Outcome) {
		head := peaking(peak)
		head.held *= 0.7
		rep := judge(t, head.write(t), peaking(79*mib).write(t))
		var b bytes.Buffer
		require.NoError(t, rep.WriteText(&b))
		require.Len(t, rep.Improvements, 1)
		return b.String(), rep.Outcome
	}
	got, outcome := text(121 * mib)
	assert.Equal(t, Fail, outcome)
	assert.Contains(t, got, "peak")
	assert.NotContains(t, got, "keep it")
	got, outcome = text(85 * mib)
	assert.Equal(t, Pass, outcome, "equal trials differ as much")
	assert.Contains(t, got, "keep it")

	growing := func(peak int64) *Run {
		c := peaking(peak)
		c.finding, c.headline = leak, record.HeadLeak
		return c.write(t)
	}
	rep := judge(t, growing(110*mib), growing(79*mib))
	assert.Equal(t, Pass, rep.Outcome, "the peak follows from how long the trial took: %v", rep.Failures())
	rep = judge(t, growing(790*mib), growing(79*mib))
	assert.Equal(t, Fail, rep.Outcome, "not tenfold")
}

func TestWhatIsWorseByChanceIsNotToKeep(t *testing.T) {
	rep := Report{Outcome: Pass, Improvements: []Result{{Check: "held_live"}},
		Results: []Result{{Check: "peak", Outcome: Pass, Change: &Change{Before: 80, After: 100, Least: 16, P: 0.1}}}}
	var b bytes.Buffer
	require.NoError(t, rep.WriteText(&b))
	assert.NotContains(t, b.String(), "keep it")
}

// TestAFaultAtAnotherLineIsNew: of what settings bound the sizes are compared.
func TestAFaultAtAnotherLineIsNew(t *testing.T) {
	for class, want := range map[record.Class]Outcome{record.Leak: Fail, record.BufferWorker: Pass} {
		run := func(functions ...string) *Run {
			c := healthy()
			c.judge = func(v *record.Verdict) {
				for _, f := range functions {
					v.Findings = append(v.Findings, record.Finding{Class: class, Site: record.Site{Function: f}})
				}
			}
			return c.write(t)
		}
		rep := judge(t, run("app.index", "app.list"), run("app.index"))
		assert.Equal(t, want, rep.Outcome, class)
		if want == Fail {
			assert.Contains(t, rep.Failures()[0].Detail, string(class)+" at app.list was not there before")
		}
	}
}

func TestOtherFixedSettingsAreForeign(t *testing.T) {
	c := healthy()
	c.change = func(t *record.Trial) {
		t.Settings = map[string]string{"workers": "10", "pool": "4", "uploader": "aws"}
	}
	base, err := NewBaseline(c.write(t))
	require.NoError(t, err)
	_, err = Judge(healthy().write(t), Options{Baseline: base})
	require.ErrorIs(t, err, ErrForeign)
	assert.ErrorContains(t, err, "its set of fixed settings is uploader=aws, the run's is default")
	_, err = Judge(c.write(t), Options{Baseline: base})
	require.NoError(t, err)
	base.Settings = nil
	_, err = Judge(healthy().write(t), Options{Baseline: base})
	require.NoError(t, err, "a baseline from before settings were kept")
}

func TestRecordsThatContradictEachOtherAreInconclusive(t *testing.T) {
	judged := func(v *record.Verdict) {
		v.Findings, v.Hypotheses = []record.Finding{*leak}, []record.Hypothesis{{Class: record.Leak, Per: "file"}}
		v.Costs = []record.Cost{{Class: leak.Class, Site: leak.Site, Per: "file", Bytes: 64}}
	}
	sound := healthy()
	sound.judge = judged
	require.Equal(t, Pass, judge(t, sound.write(t), nil, "leak_bytes_per_file < 65", "peak_rss < 1GiB").Outcome)

	for want, edit := range map[string]func(*record.Verdict){
		"has no row among the costs":                     func(v *record.Verdict) { v.Costs = nil },
		"no row among the costs: ":                       func(v *record.Verdict) { v.Costs[0].Bytes = 1 },
		"no row among the costs: soak":                   func(v *record.Verdict) { v.Costs[0].Bounded = true },
		"ended as \"crashed\", this":                     func(v *record.Verdict) { v.Outcome = record.Crashed },
		"workers=10: trial 1 ended as \"oom-killed\" by": nil,
	} {
		c := healthy()
		c.judge = func(v *record.Verdict) { judged(v); edit(v) }
		if edit == nil {
			c.judge = judged
			c.edit = func(r *record.Run) { r.Status[0].Trials[0].Outcome = record.OOMKilled }
		}
		rep := judge(t, c.write(t), nil, "leak_bytes_per_file < 65")
		assert.Equal(t, Inconclusive, rep.Outcome, want)
		assert.Contains(t, rep.Results[0].Detail, want)
		for _, x := range rep.Results {
			assert.False(t, x.Check == "leak_bytes_per_file < 65" && x.Outcome == Pass, want)
		}
	}
}

func TestAnswersOfMaxWorkersAreWholeAndInRange(t *testing.T) {
	q := measured(nil)
	q.most = func(int64) (Workers, bool) { return Workers{Most: 2, Open: true, Perhaps: 5}, true }
	for expr, want := range map[string]struct {
		outcome Outcome
		text    string
	}{
		"max_workers(128MiB) >= 6":  {Fail, "max_workers(128 MiB) = 2 to 5"},
		"max_workers(128MiB) >= 4":  {Inconclusive, "max_workers(128 MiB) = 2 to 5"},
		"max_workers(1e30) >= 1":    {Inconclusive, "max_workers(1e+30) is not known: a limit is of 0 B to 8 EiB"},
		"max_workers(8192PiB) >= 1": {},
		"max_workers(-1) >= 1":      {Inconclusive, "max_workers(-1) is not known"},
		"max_workers(0/0) >= 1":     {Inconclusive, "max_workers(NaN) is not known"},
	} {
		c, err := Compile(Threshold{Expr: expr})
		if want.text == "" {
			require.Error(t, err, expr)
			continue
		}
		require.NoError(t, err)
		r := c.Eval(q)
		assert.Equal(t, want.outcome, r.Outcome, expr)
		assert.Contains(t, strings.Join(append(r.Measured, r.Detail), "; "), want.text)
		assert.NotContains(t, r.Sentence(), "-8.0 EiB")
	}
}
