package tui

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// table is a model that a test drives, with a clock of its own.
type table struct {
	t   *testing.T
	m   *model
	now time.Time
}

func newTable(t *testing.T, width, height int) *table {
	tb := &table{t: t, now: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)}
	tb.m = newModel(func() time.Time { return tb.now })
	tb.m.resize(width, height)
	return tb
}

func (tb *table) send(events ...soak.Event) {
	for _, e := range events {
		tb.m.apply(e)
	}
}

// content is the lines as drawn.
func (tb *table) content() string { return strings.Join(tb.m.view(), "\n") }

// screen is the visible text, without colours.
func (tb *table) screen() string { return screen.Plain(tb.content()) }

func (tb *table) rowOf(cell record.Cell) string {
	tb.t.Helper()
	for l := range strings.Lines(tb.screen()) {
		if strings.Contains(l, cell.String()) {
			return l
		}
	}
	tb.t.Fatalf("no row for %s in\n%s", cell, tb.screen())
	return ""
}

func cells(n int) []record.Cell {
	var out []record.Cell
	for i := range n {
		out = append(out, record.Cell{"gomemlimit": "1800MiB", "pool": "40", "workers": fmt.Sprint(i + 1)})
	}
	return out
}

func started(cs []record.Cell) soak.RunStarted {
	p := &soak.Plan{}
	for _, c := range cs {
		p.Cells = append(p.Cells, c)
		p.Trials = append(p.Trials, soak.Step{Cell: c, Kind: record.Attribution, Index: 1}, soak.Step{Cell: c,
			Kind: record.Speed, Index: 2})
	}
	return soak.RunStarted{Plan: p, Subject: "migrator", Corpus: "mixed", Design: "star", Cells: len(cs),
		Trials:   2 * len(cs),
		Estimate: time.Duration(len(cs)) * time.Minute, Limit: 2 << 30}
}

func sampled(ref soak.TrialRef, rss int64) soak.Event {
	return soak.Sampled{TrialRef: ref, Sample: record.Sample{Process: &record.Process{RSS: rss}}}
}

func TestTableFollowsTheRun(t *testing.T) {
	cs := cells(3)
	tb := newTable(t, 140, 30)
	tb.send(started(cs))
	assert.Contains(t, tb.screen(), "0/6 trials")
	assert.Contains(t, tb.screen(), "about 3m00s left")
	assert.Contains(t, tb.rowOf(cs[0]), "planned")

	ref := soak.TrialRef{Cell: cs[0], Kind: record.Attribution, Index: 1, N: 1, Of: 6}
	tb.send(soak.TrialStarted{TrialRef: ref, Estimate: 30 * time.Second})
	for i := range 4 {
		wave := record.Phase{Name: fmt.Sprintf("wave-%d", i+1), Kind: "wave"}
		tb.send(soak.PhaseChanged{TrialRef: ref, Phase: wave}, sampled(ref, int64(i+1)<<20), sampled(ref, int64(i+1)<<20))
		wave.End = tb.now
		tb.send(soak.PhaseChanged{TrialRef: ref, Phase: wave},
			soak.Snapped{TrialRef: ref, Snapshot: record.Snapshot{State: record.StateFloor}, Live: int64(i+1) << 18},
			soak.Snapped{TrialRef: ref, Snapshot: record.Snapshot{State: record.StateReply}, Live: 1 << 40})
	}
	tb.now = tb.now.Add(15 * time.Second)
	row := tb.rowOf(cs[0])
	assert.Contains(t, row, "▸ ")
	assert.Contains(t, row, "attribution: wave-4")
	assert.Contains(t, row, "15s")
	assert.Contains(t, row, "4.0 MiB")
	assert.Contains(t, row, "▃▃▅▅▇▇██", "the resident size rises")
	assert.Contains(t, row, "▃▅▇█", "and so do the floors")

	tb.send(soak.TrialEnded{TrialRef: ref, Outcome: record.OOMKilled, Seconds: 30, Peak: record.Peak{RSS: 9 << 20},
		Headline: record.HeadLeak})
	row = tb.rowOf(cs[0])
	assert.Contains(t, row, "✗ ")
	assert.Contains(t, row, "oom-killed")
	assert.Contains(t, row, "9.0 MiB")
	assert.Contains(t, row, "leak")
	assert.Contains(t, tb.screen(), "1/6 trials")
	assert.Contains(t, tb.screen(), "about 2m30s left",
		"three minutes less the half minute that is done, at the same pace")

	tb.send(soak.Warned{Text: "no memory limit: \x1b[31mread-only\x1b[0m"}, soak.RunEnded{Done: 1, Of: 6,
		Interrupted: true})
	assert.Contains(t, tb.screen(), "interrupted")
	assert.NotContains(t, tb.content(), "\x1b[31mread-only", "text of a run cannot steer the terminal")
	assert.Contains(t, tb.screen(), "! no memory limit")
}

func TestAnOutcomeIsNotMadeBetterByALaterTrial(t *testing.T) {
	cs := cells(1)
	tb := newTable(t, 140, 30)
	ref := soak.TrialRef{Cell: cs[0], Kind: record.Attribution, Index: 1, N: 1, Of: 2}
	tb.send(started(cs), soak.TrialStarted{TrialRef: ref}, soak.TrialEnded{TrialRef: ref, Outcome: record.Crashed,
		Headline: record.Inconclusive})
	ref.Kind, ref.Index, ref.N = record.Speed, 2, 2
	tb.send(soak.TrialStarted{TrialRef: ref}, soak.TrialEnded{TrialRef: ref, Outcome: record.OK, Headline: record.Healthy})
	assert.Contains(t, tb.rowOf(cs[0]), "crashed")
	assert.Contains(t, tb.rowOf(cs[0]), "inconclusive")
}

func TestNarrowTerminals(t *testing.T) {
	cs := cells(12)
	for _, width := range []int{20, 30, 40, 60, 80, 200} {
		for _, height := range []int{5, 10, 40} {
			tb := newTable(t, width, height)
			ref := soak.TrialRef{Cell: cs[6], Kind: record.Attribution, Index: 1, N: 13, Of: 24}
			tb.send(started(cs), soak.TrialStarted{TrialRef: ref, Estimate: time.Minute},
				soak.PhaseChanged{TrialRef: ref, Phase: record.Phase{Name: "hold-reply-4MiB", Kind: "hold"}}, sampled(ref, 1<<30),
				soak.Warned{Text: strings.Repeat("long ", 60)})
			seen := tb.screen()
			lines := strings.Split(seen, "\n")
			for _, l := range lines {
				assert.LessOrEqual(t, screen.Width(l), width, "%dx%d: %q", width, height, l)
			}
			assert.Less(t, len(lines), height, "%dx%d:\n%s", width, height, seen)
			assert.Contains(t, seen, "▸", "%dx%d: the running cell is always shown\n%s", width, height, seen)
		}
	}
}

func TestWithoutATerminalLinesAreWritten(t *testing.T) {
	var out bytes.Buffer
	sink, stop := Start(&out, false)
	ref := soak.TrialRef{Cell: cells(1)[0], Kind: record.Attribution, Index: 1, N: 1, Of: 1}
	sink(soak.TrialStarted{TrialRef: ref})
	sink(soak.TrialEnded{TrialRef: ref, Outcome: record.OK, Seconds: 3, Headline: record.Healthy})
	stop()
	assert.Contains(t, out.String(), "[1/1] gomemlimit=1800MiB pool=40 workers=1")
	assert.NotContains(t, out.String(), "\x1b", "no escape sequences in a log")
}

func TestSummaryIsTenLinesTheAnswerFirst(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	_, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small(), Hostile: true})
	require.NoError(t, err)
	v, err := record.ReadRunVerdict(dir)
	require.NoError(t, err)
	v.Answer = []string{"buffer-file: 1.0 byte per byte in flight at (*uploader).put", "two", "three", "four", "five",
		"six"}
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile), v))
	require.NoError(t, report.Generate(t.Context(), dir))
	var out bytes.Buffer
	require.NoError(t, Summary(t.Context(), &out, dir))
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	assert.LessOrEqual(t, len(lines), 10, out.String())
	assert.Equal(t, v.Answer[0], lines[0])
	assert.NotContains(t, out.String(), "\x1b", "no colours and nothing else of the kind where there is no terminal")
	for _, want := range []string{"Up to 22 workers are safe in 2.0 GiB", "3 cells: 2 ok, 1 oom-killed",
		"highest peak 2.3 GiB at gomemlimit=1800MiB pool=40 workers=50", "report.html", "soak view " + dir} {
		assert.Contains(t, out.String(), want)
	}
}

func TestSparkKeepsPeaks(t *testing.T) {
	v := make([]float64, 1000)
	v[431] = 7
	s := spark(v, 10)
	assert.Equal(t, 10, screen.Width(s))
	assert.Regexp(t, regexp.MustCompile(`^▁{4}█▁{5}$`), s)
	assert.Empty(t, spark(nil, 10))
}
