package replay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"memsoak/soak/internal/report"
	"memsoak/soak/internal/report/fixture"
)

func TestAPageGetsTheResultAndItsPictures(t *testing.T) {
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	_, err := fixture.Write(run, fixture.Options{Axes: fixture.Small()[:1]})
	require.NoError(t, err)
	page := filepath.Join(dir, "docs", "PAGE.md")
	require.NoError(t, os.Mkdir(filepath.Dir(page), 0o755))
	require.NoError(t, os.WriteFile(page, []byte("# Title\n"+pageBegin+"what was there\n"+pageEnd+"after\n"), 0o644))
	r := &Result{Scale: 16, Cells: []*Cell{{Row: last, Corpus: Decisive, Outcome: Killed, Dir: run}}}
	for range 2 { // again and again
		require.NoError(t, r.WritePage(t.Context(), page))
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(text), "# Title\n"+pageBegin+"Scale 1:16."))
	assert.True(t, strings.HasSuffix(string(text), pageEnd+"after\n"))
	assert.Contains(t, string(text), "| "+last+" | "+Decisive+" | oom-killed")
	assert.NotContains(t, string(text), "what was there")
	for _, name := range []string{report.MemoryPicture, report.FlamePicture} {
		assert.FileExists(t, filepath.Join(dir, "docs", picturesDir, name))
	}
	require.NoError(t, os.WriteFile(page, []byte("# Title\n"), 0o644))
	assert.ErrorIs(t, r.WritePage(t.Context(), page), ErrPage)
}
