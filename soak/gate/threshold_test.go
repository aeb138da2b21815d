package gate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func measured(values map[string]any) Quantities {
	q := Quantities{values: map[string]any{}, why: map[string]string{}}
	for k, v := range words {
		q.values[k] = v
	}
	for k, v := range values {
		q.values[k] = v
	}
	return q
}

func TestThresholds(t *testing.T) {
	cell := map[string]any{
		"peak_rss": float64(200 << 20), "leak_bytes_per_file": 64.0, "floor_growth": 0.02, "goroutines_growth": 0.0,
		"headline": "buffering", "outcome": "oom-killed",
	}
	for expr, want := range map[string]Outcome{
		"peak_rss < 256MiB":                             Pass,
		"peak_rss < 200MiB":                             Fail,
		"peak_rss <= 200Mi":                             Pass,
		"leak_bytes_per_file < 64":                      Fail,
		"floor_growth < 1%":                             Fail,
		"floor_growth < 2.5% and peak_rss < 1GiB":       Pass,
		"goroutines_growth == 0":                        Pass,
		"headline in [healthy, buffering]":              Pass,
		"peak_rss = 100MiB + 2 * 50MiB":                 Pass,
		"(1 + 1) * leak_bytes_per_file / 4 = -(-32)":    Pass,
		"leak_bytes_per_file - 32 - 16 == 16":           Pass,
		"not headline == leak && !(peak_rss > 1e9)":     Pass,
		"peak_rss > 1 or peak_rss > 2 and peak_rss < 1": Pass,
		"(peak_rss > 1 || 1 > 2) and peak_rss < 2MiB":   Fail,
		"headline != 'buffering'":                       Fail,
		"headline in [healthy, off-heap]":               Fail,
		`headline not in ["off-heap", leak]`:            Pass,
		"outcome == oom-killed":                         Pass,
		"bytes_per_worker < 1MiB":                       Inconclusive,
		"max_workers(2Gi) >= 50":                        Inconclusive,
		"peak_rss < 256MiB and bytes_per_worker < 1MiB": Inconclusive,
	} {
		c, err := Compile(Threshold{Expr: expr})
		if assert.NoError(t, err, expr) {
			r := c.Eval(measured(cell))
			assert.Equal(t, want, r.Outcome, "%s: %+v", expr, r)
			if want == Inconclusive {
				assert.NotEmpty(t, r.Detail)
			}
		}
	}
}

func TestMaxWorkersAsksTheModel(t *testing.T) {
	c, err := Compile(Threshold{Expr: "max_workers(2Gi) >= 50"})
	require.NoError(t, err)
	q := measured(nil)
	var asked int64
	q.most = func(limit int64) (Workers, bool) { asked = limit; return Workers{Most: 49}, true }
	r := c.Eval(q)
	assert.Equal(t, Fail, r.Outcome)
	assert.Equal(t, int64(2<<30), asked)
	assert.Equal(t, []string{"max_workers(2.0 GiB) = 49"}, r.Measured)

	q.most = func(int64) (Workers, bool) { return Workers{Most: 49, Open: true}, true }
	r = c.Eval(q)
	assert.Equal(t, Inconclusive, r.Outcome, "a bound below what is asked for is no failure")
	assert.Equal(t, []string{"max_workers(2.0 GiB) >= 49"}, r.Measured)
	q.most = func(int64) (Workers, bool) { return Workers{Most: 64, Open: true}, true }
	assert.Equal(t, Pass, c.Eval(q).Outcome)

	q.most = func(int64) (Workers, bool) { return Workers{Most: 49, Open: true, Perhaps: 60}, true }
	assert.Equal(t, Inconclusive, c.Eval(q).Outcome, "50 are in the range")
	q.most = func(int64) (Workers, bool) { return Workers{Most: 40, Open: true, Perhaps: 49}, true }
	assert.Equal(t, Fail, c.Eval(q).Outcome, "50 are above the range")
}

func TestThresholdsWithoutSenseAreRefusedWithThePosition(t *testing.T) {
	for expr, want := range map[string]string{
		"peak_rsss < 256MiB":             "column 1: unknown quantity peak_rsss; known are bytes_per_byte",
		"peak_rss < 256MiB and leek > 2": "column 23: unknown quantity leek",
		"peak_rss":                       "column 1: want a condition, have a number",
		"peak_rss < 1 and peak":          "column 18: want a condition, have a number",
		"peak_rss == healthy":            "column 13: want a number, have a word",
		"headline < healthy":             "column 1: want a number, have a word",
		"headline in healthy":            `column 13: "[" is missing`,
		"headline in [healthy":           `"]" is missing`,
		"(peak_rss < 1":                  `")" is missing`,
		"peak_rss < 1 2":                 `column 14: "2" is too much here`,
		"peak_rss < 12 parsecs":          `column 15: "parsecs" is too much here`,
		"peak_rss < 12parsecs":           `column 12: "12parsecs" is no size`,
		"peak_rss < 1 ? 2 : 3":           `column 14: "?" is not understood`,
		"max_workers >= 1":               "column 13: max_workers needs a limit",
		"max_workers(healthy) >= 1":      "column 13: want a number, have a word",

		"peak_rss >= 0": "can't fail",
		"peak_rss < 0":  "can't hold",
		"headline in [healthy] or headline != healthy": "can't fail",
		"1 < 2":                 "names no quantity",
		"":                      "",
		"peak_rss < ":           "column 11",
		"headline == helthy":    "column 13: unknown quantity helthy",
		"max_workers(2Gi) >= 0": "can't fail",
		"len(headline) > 2":     "unknown",
		strings.Repeat("peak_rss < 1 or ", 300) + "1<2": "",
	} {
		_, err := Compile(Threshold{Expr: expr})
		var se *SyntaxError
		if assert.ErrorAs(t, err, &se, expr) {
			assert.ErrorContains(t, err, want)
			assert.NotContains(t, err.Error(), "\n")
		}
	}
}

func TestFilters(t *testing.T) {
	cell := map[string]string{"workers": "25", "gomemlimit": "1800MiB", "pool": "4", "corpus": "mixed"}
	for text, want := range map[string]bool{
		"":                                      true,
		"workers >= 10 and pool == 4":           true,
		"workers >= 50":                         false,
		"gomemlimit < 2Gi":                      true,
		`corpus == "mixed" and workers in [25]`: true,
	} {
		f, err := CompileFilter(text)
		require.NoError(t, err, text)
		got, err := f.Match(cell)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
}

func TestFiltersTakeALimitThatIsOffForNoLimit(t *testing.T) {
	cell := map[string]string{"gomemlimit": "off", "workers": "10", "transport": "http"}
	for text, want := range map[string]bool{
		"gomemlimit >= 1GiB":                   true,
		"gomemlimit > 1GiB and workers < 20":   true,
		"gomemlimit < 1GiB":                    false,
		"1TiB <= gomemlimit":                   true,
		"gomemlimit <= off":                    true,
		"gomemlimit < off":                     false,
		"workers < off":                        true,
		"gomemlimit = off":                     true,
		`gomemlimit == "off"`:                  true,
		"gomemlimit != off":                    false,
		"gomemlimit = 1GiB":                    false,
		"gomemlimit in [off, 1GiB]":            true,
		"not (gomemlimit < 1GiB or workers>9)": false,
	} {
		f, err := CompileFilter(text)
		require.NoError(t, err, text)
		got, err := f.Match(cell)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for text, want := range map[string]string{
		"memlimit > 1GiB": `no setting "memlimit"; there are gomemlimit, transport, workers`,
		"transport > 1":   `transport is "http" here, which has no size: compare it by =, != or in`,
	} {
		f, err := CompileFilter(text)
		require.NoError(t, err, text)
		_, err = f.Match(cell)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestFiltersNameWhatIsNoSetting(t *testing.T) {
	cell := map[string]string{"workers": "25", "gomemlimit": "1800MiB", "pool": "4", "corpus": "mixed"}
	f, err := CompileFilter("wrokers > 1")
	require.NoError(t, err)
	_, err = f.Match(cell)
	assert.ErrorContains(t, err, `no setting "wrokers"; there are corpus, gomemlimit, pool, workers`)
}

func TestMeasureLeavesOutWhatWasNotRecorded(t *testing.T) {
	q := Measure(CellData{})
	_, ok := q.Get("peak_rss")
	assert.False(t, ok)
	assert.NotEmpty(t, q.missing("peak_rss"))
	_, ok = q.values["headline"]
	assert.False(t, ok)
}

func TestMeasure(t *testing.T) {
	held := record.Snapshot{State: record.StateReply, ForcedGC: 2, HeapLive: 7 << 20}
	free := record.Snapshot{State: record.StateFree, HeapLive: 70 << 20}
	v := &record.Verdict{
		Headline: record.HeadLeak,
		Findings: []record.Finding{
			{Class: record.Leak, Slope: &record.Slope{Bytes: 112, Per: "file"}},
			{Class: record.GoroutineLeak, Slope: &record.Slope{Bytes: 2048, Per: "file"}},
			{Class: record.BufferWorker, Slope: &record.Slope{Bytes: 65536, Per: "worker"}},
		},
	}
	for i := range 8 {
		v.Floors = append(v.Floors, record.Floor{HeapLive: int64(1000 + 10*i), Routines: 10 + i/4})
	}
	q := Measure(CellData{Trials: []TrialData{
		{Trial: &record.Trial{Kind: record.Attribution, Outcome: record.OK, Peak: record.Peak{RSS: 99, HeapLive: 8 << 20},
			Snapshots: []record.Snapshot{held, free}}, Verdict: v},
		{Trial: &record.Trial{Kind: record.Speed, Outcome: record.OK, Peak: record.Peak{RSS: 80}, Work: record.Work{Files: 50,
			Bytes: 500, Seconds: 5}}},
	}})
	for name, want := range map[string]float64{
		"peak_rss": 99, "peak": 99, "held_live": 7 << 20, "peak_live": 8 << 20, "leak_bytes_per_file": 2160,
		"bytes_per_worker":  65536,
		"goroutines_growth": 1, "floor_live": 1070, "floor_growth": 0.03, "files_per_second": 10, "bytes_per_second": 100,
		"findings": 3,
	} {
		got, ok := q.Get(name)
		assert.True(t, ok, name)
		assert.InDelta(t, want, got, 1e-9, name)
	}
	assert.Equal(t, "leak", q.values["headline"])
}

func TestNoCheckNeverPasses(t *testing.T) {
	assert.Equal(t, Inconclusive, combine(nil))
	assert.Equal(t, Inconclusive, combine([]Result{{Outcome: Pass}, {}}))
	assert.Equal(t, Fail, combine([]Result{{Outcome: Pass}, {}, {Outcome: Fail}}))
	assert.Equal(t, Pass, combine([]Result{{Outcome: Pass}}))
}
