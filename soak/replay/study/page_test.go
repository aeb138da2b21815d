package study

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// recordedRun is a run of one cell with its report, in a directory of that name.
func recordedRun(t *testing.T, dir string) string {
	t.Helper()
	_, err := drawn.Write(dir, drawn.Options{Axes: drawn.Small()[:1]})
	require.NoError(t, err)
	require.NoError(t, report.Generate(t.Context(), dir))
	return dir
}

// TestEveryRowLeadsToItsFlameGraph follows every link of the table to a file that is there and a place in it.
func TestEveryRowLeadsToItsFlameGraph(t *testing.T) {
	out := t.TempDir()
	r := &Result{Scale: 16, Cells: []*Cell{
		{Row: "v1", Corpus: "many-small", Outcome: Killed, Headline: "metadata", Dir: recordedRun(t, filepath.Join(out,
			"v1--many-small"))},
		{Row: "v1", Corpus: "few-huge", Outcome: Survived, Dir: recordedRun(t, filepath.Join(out, "v1--few-huge"))},
		{Row: "v1", Corpus: "<deep>", Outcome: Failed, Dir: filepath.Join(out, "nowhere")},
	}}
	page := filepath.Join(out, "replay.html")
	require.NoError(t, r.WriteHTML(page))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Equal(t, 1, strings.Count(string(text), "no report"))
	assert.Contains(t, string(text), "&lt;deep&gt;")
	links := regexp.MustCompile(`<a href="([^"#]+)(?:#([^"]+))?"`).FindAllStringSubmatch(string(text), -1)
	require.Len(t, links, 4)
	for _, l := range links {
		to, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(l[1])))
		require.NoError(t, err)
		if l[2] != "" {
			assert.Regexp(t, `id="`+l[2]+`"><h4>Live bytes at the peak`, string(to))
		}
	}
}

func TestAPageGetsTheResultAndItsPictures(t *testing.T) {
	dir := t.TempDir()
	run := recordedRun(t, filepath.Join(dir, "run"))
	page := filepath.Join(dir, "docs", "PAGE.md")
	require.NoError(t, os.Mkdir(filepath.Dir(page), 0o755))
	require.NoError(t, os.WriteFile(page, []byte("# Title\n"+pageBegin+"what was there\n"+pageEnd+"after\n"), 0o644))
	r := &Result{Scale: 16, Cells: []*Cell{{Row: last, Corpus: Decisive, Outcome: Killed, Dir: run}}}
	program := filepath.Join(dir, "soak")
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/soak").CombinedOutput()
	require.NoError(t, err, "%s", out)
	b := &Bench{Soak: program}
	for range 2 {
		require.NoError(t, b.WritePage(t.Context(), r, page))
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "# Title\n"+pageBegin+"Scale 1:16."))
	assert.True(t, strings.HasSuffix(string(text), pageEnd+"after\n"))
	assert.Regexp(t, `(?m)^`+last+", "+Decisive+` +oom-killed `, string(text))
	assert.NotContains(t, string(text), "what was there")
	for _, name := range []string{report.MemoryPicture, report.FlamePicture} {
		assert.FileExists(t, filepath.Join(dir, "docs", picturesDir, name))
	}
	require.NoError(t, os.WriteFile(page, []byte("# Title\n"), 0o644))
	assert.ErrorIs(t, b.WritePage(t.Context(), r, page), ErrPage)
}
