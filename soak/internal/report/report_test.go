package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

func small(t *testing.T, o drawn.Options) (string, *record.Run) {
	t.Helper()
	if o.Axes == nil {
		o.Axes = drawn.Small()
	}
	dir := filepath.Join(t.TempDir(), "run")
	run, err := drawn.Write(dir, o)
	require.NoError(t, err)
	return dir, run
}

func generate(t *testing.T, dir string) (htmlText, md string) {
	t.Helper()
	require.NoError(t, report.Generate(t.Context(), dir))
	h, err := os.ReadFile(filepath.Join(dir, report.HTMLFile))
	require.NoError(t, err)
	m, err := os.ReadFile(filepath.Join(dir, report.MarkdownFile))
	require.NoError(t, err)
	return string(h), string(m)
}

// text is what a reader of the page sees, white space collapsed.
func text(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// has and hasNot look for text in a page without printing the page when they fail.
func has(t *testing.T, page, want string, why ...any) {
	t.Helper()
	assert.True(t, strings.Contains(page, want), "not there: %s %v", want, why)
}

func hasNot(t *testing.T, page, not string, why ...any) {
	t.Helper()
	assert.False(t, strings.Contains(page, not), "there: %s %v", not, why)
}

// A person who has only the report finds what holds the memory, where, how it grows, and how many workers fit.
func TestReportAnswersTheFourQuestions(t *testing.T) {
	dir, _ := small(t, drawn.Options{})
	page, md := generate(t, dir)
	seen := text(t, page)
	for _, want := range []string{
		"buffer-file: 1.0 byte per byte in flight at (*uploader).put, upload.go:88", // what and where, first
		"1.02 B per byte in flight", "0.99 B to 1.05 B", // how it grows, with its interval
		"At most 22 workers fit in 2.0 GiB", "GOMEMLIMIT=1800MiB", // how many fit
		"Each transfer holds its whole file in memory while it is uploaded",
		"io.ReadAll io/io.go:712", // the stack
		"killed by the memory limit", "beyond 50 workers nothing was measured",
		"soak run --subject uploader --corpus mixed --axis workers=50 --axis gomemlimit=1800MiB --axis pool=40 --limit 2Gi",
		"memsoak.uploader.w50.m1800MiB.p40",
	} {
		has(t, seen, want)
	}
	assert.Less(t, strings.Index(seen, "buffer-file: 1.0"), strings.Index(seen, "Matrix"), "the answer comes first")
	for _, want := range []string{"# uploader on the mixed corpus: buffering", "**buffer-file: 1.0 byte",
		"| workers 50 · gomemlimit 1800MiB · pool 40 | oom killed | buffering |",
		"`s3.(*uploader).put`", "At most 22 workers fit in 2.0 GiB"} {
		has(t, md, want)
	}
}

func TestReportShowsWhatIsRecorded(t *testing.T) {
	dir, run := small(t, drawn.Options{})
	page, _ := generate(t, dir)
	v, err := record.ReadVerdict(filepath.Join(dir, filepath.FromSlash(run.Status[1].Dir), "trial-1"))
	require.NoError(t, err)
	for _, p := range v.Waterfall {
		has(t, page, exactly(p.Bytes), "the waterfall's %s in full, on hover", p.Part)
	}
	has(t, page, exactly(v.Floors[0].HeapLive), "a floor in full, on hover")
	assert.Equal(t, 3, strings.Count(page, "Live bytes at the peak:"))
	assert.Equal(t, 3, strings.Count(page, "Growth between floors:"))
	for _, id := range []string{report.FirstPeak, "cell-1-growth", "cell-3-peak"} {
		assert.Equal(t, 1, strings.Count(page, `id="`+id+`"`), id)
	}
	has(t, page, `<i class="own hit"`, "the culprit is marked in the flame graph")
	has(t, text(t, page), "50 s3.(*uploader).put upload.go:95 http.(*persistConn).roundTrip",
		"the goroutines at the peak, grouped")
	has(t, page, `class="mark oom"`)
	has(t, page, `class="band b-hold"`)
	has(t, page, `class="ticks"`, "collections")
}

// The flame graphs' frames carry absolute bytes of the recorded profiles: growth between floors is what finished files
// left behind, 96 bytes each in the story.
func TestGrowthBetweenFloorsIsInAbsoluteBytes(t *testing.T) {
	dir, run := small(t, drawn.Options{})
	page, _ := generate(t, dir)
	tr, err := record.ReadTrial(filepath.Join(dir, filepath.FromSlash(run.Status[0].Dir), "trial-1"))
	require.NoError(t, err)
	var floors []record.Snapshot
	for _, s := range tr.Snapshots {
		if s.State == record.StateFloor {
			floors = append(floors, s)
		}
	}
	grown := 96 * (floors[len(floors)-1].Covariates.FilesDone - floors[0].Covariates.FilesDone)
	frame := regexp.MustCompile(`uploader\.\(\*ledger\)\.add ledger\.go:44&#10;[^"]*\(` +
		regexp.QuoteMeta(exactly(grown)) + `\)`)
	assert.True(t, frame.MatchString(page), "no frame of %s", exactly(grown))
}

func exactly(n int64) string {
	s := []byte(json.Number(jsonInt(n)))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = append(s[:i], append([]byte{','}, s[i:]...)...)
	}
	return string(s) + " bytes"
}

func jsonInt(n int64) string { b, _ := json.Marshal(n); return string(b) }

// Nothing in a report may come from outside it, and nothing from a run may become markup.
func TestHostileNamesAreEscaped(t *testing.T) {
	dir, _ := small(t, drawn.Options{Hostile: true})
	page, md := generate(t, dir)
	root, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	scripts := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		assert.NotEqual(t, "img", n.Data, "markup of the run became an element")
		if n.Data == "script" {
			scripts++
		}
		for _, a := range n.Attr {
			assert.False(t, strings.HasPrefix(a.Key, "on"), "event handler %s on %s", a.Key, n.Data)
			if a.Key == "src" || a.Key == "href" {
				assert.Regexp(t, `^(#|data:,)`, a.Val)
			}
		}
	}
	assert.Equal(t, 2, scripts, "the heat map's data and the page's own script")
	hasNot(t, page, "\x1b", "control characters are not passed on")
	hasNot(t, md, "\x1b")
	outsideCode := regexp.MustCompile("`[^`\n]*`").ReplaceAllString(md, "")
	hasNot(t, outsideCode, "<script")
	hasNot(t, outsideCode, "<img")
}

func TestReportIsSelfContained(t *testing.T) {
	dir, _ := small(t, drawn.Options{})
	page, _ := generate(t, dir)
	for _, m := range regexp.MustCompile(
		`(?i)(?:src|href|url|@import)\s*[=(]?\s*["']?(https?:)?//[^\s"')]+`).FindAllString(page, -1) {
		t.Errorf("the report asks for %s", m)
	}
}

func TestDamagedRunIsShownInPart(t *testing.T) {
	dir, run := small(t, drawn.Options{})
	trial := func(i int) string { return filepath.Join(dir, filepath.FromSlash(run.Status[i].Dir), "trial-1") }
	require.NoError(t, os.WriteFile(filepath.Join(trial(0), record.TrialFile), []byte("{"), 0o644))
	heaps, err := filepath.Glob(filepath.Join(trial(1), record.HeapDir, "*"))
	require.NoError(t, err)
	for _, h := range heaps {
		require.NoError(t, os.WriteFile(h, []byte("no profile"), 0o644))
	}
	require.NoError(t, os.RemoveAll(trial(2)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, record.VerdictFile), []byte(`{"schema":"memsoak/run-verdict/v9"}`),
		0o644))
	page, md := generate(t, dir)
	seen := text(t, page)
	for _, want := range []string{
		"read cells/" + run.Status[0].Cell.Dir() + "/trial-1/trial.json: unexpected end of JSON input",
		"trial-1/samples.jsonl: no such file or directory",
		`verdict.json: unknown schema "memsoak/run-verdict/v9", want "memsoak/run-verdict/v1"`,
		"snapshot: read profile",
		"s3.(*uploader).put", // the undamaged parts are there
	} {
		has(t, seen, want)
	}
	has(t, md, "unexpected end of JSON input")
	hasNot(t, page, dir, "no local path in the report")
}

// A run that was cut off before its end has verdicts of its trials, and memory outside the Go heap may have no line.
func TestWhatWasJudgedIsNotDeniedWithoutAVerdictOfTheRun(t *testing.T) {
	dir, run := small(t, drawn.Options{})
	trial := filepath.Join(dir, filepath.FromSlash(run.Status[0].Dir), "trial-1")
	v := &record.Verdict{Schema: record.VerdictSchema, Headline: record.HeadOffHeap,
		Findings: []record.Finding{{Class: record.OffHeap, BytesAtPeak: 1 << 40, Summary: "48 KiB per file."}}}
	require.NoError(t, record.Write(filepath.Join(trial, record.VerdictFile), v))
	require.NoError(t, os.Remove(filepath.Join(dir, record.VerdictFile)))
	page, md := generate(t, dir)
	has(t, text(t, page), "Trials were judged, the run as a whole was not: soak diagnose RUN does it.")
	has(t, text(t, page), "no known line of Go")
	has(t, md, "off-heap at no known line of Go, 1.0 TiB")
	has(t, md, "| off-heap | no known line of Go ")
	hasNot(t, page, "nothing can be said")
}

func TestPathsOutOfTheRunAreRefused(t *testing.T) {
	dir, run := small(t, drawn.Options{})
	rewrite := func(cell int, change func(*record.Snapshot)) {
		trialDir := filepath.Join(dir, filepath.FromSlash(run.Status[cell].Dir), "trial-1")
		tr, err := record.ReadTrial(trialDir)
		require.NoError(t, err)
		for i := range tr.Snapshots {
			change(&tr.Snapshots[i])
		}
		require.NoError(t, record.Write(filepath.Join(trialDir, record.TrialFile), tr))
	}
	rewrite(0, func(s *record.Snapshot) { s.Heap = "../../../../etc/passwd" })
	rewrite(2, func(s *record.Snapshot) { s.Goroutine = "/etc/passwd" })
	outside := filepath.Join(t.TempDir(), "secret.pb.gz")
	require.NoError(t, os.WriteFile(outside, []byte("x"), 0o644))
	second := filepath.Join(dir, filepath.FromSlash(run.Status[1].Dir), "trial-1", record.HeapDir)
	links, err := filepath.Glob(filepath.Join(second, "*"))
	require.NoError(t, err)
	for _, l := range links {
		require.NoError(t, os.Remove(l))
		require.NoError(t, os.Symlink(outside, l))
	}
	page, _ := generate(t, dir)
	seen := text(t, page)
	has(t, seen, `path "../../../../etc/passwd" leaves the run`)
	has(t, seen, `path "/etc/passwd" leaves the run`)
	assert.True(t, regexp.MustCompile(`path "heap/\d+-[a-z-]+\.pb\.gz" leaves the run`).MatchString(seen),
		"a link is no way out either")
}

func TestUnfinishedRunSaysSo(t *testing.T) {
	dir, _ := small(t, drawn.Options{Running: true})
	page, md := generate(t, dir)
	seen := text(t, page)
	has(t, seen, "The run goes on: 1 of 3 trials done.")
	has(t, seen, "inconclusive The run goes on", "no verdict never looks like a good one")
	has(t, seen, "Nothing is recorded yet.")
	has(t, md, "inconclusive")
}

func TestNoRunIsAClearError(t *testing.T) {
	_, err := report.Load(t.Context(), t.TempDir())
	assert.ErrorContains(t, err, "is not a run: it has no run.json")
}

// The figures asked for: a page of 45 cells of at most 3 MB, made in at most 5 seconds.
func TestReportOf45Cells(t *testing.T) {
	if testing.Short() {
		t.Skip("a run of 45 cells")
	}
	dir := filepath.Join(t.TempDir(), "run")
	_, err := drawn.Write(dir, drawn.Options{})
	require.NoError(t, err)
	before := cpuTime(t)
	page, _ := generate(t, dir)
	took := cpuTime(t) - before
	t.Logf("45 cells: %.2f MB in %s of CPU", float64(len(page))/1e6, took.Round(time.Millisecond))
	assert.LessOrEqual(t, len(page), 3_000_000)
	assert.LessOrEqual(t, took, 5*time.Second)
	assert.Equal(t, 45, strings.Count(page, `<details class="cell"`))
}

// cpuTime is what this process has used so far: on a busy machine it says more than a clock.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestSameRunGivesTheSamePage(t *testing.T) {
	dir, _ := small(t, drawn.Options{})
	a, _ := generate(t, dir)
	b, _ := generate(t, dir)
	assert.True(t, bytes.Equal([]byte(a), []byte(b)))
}
