package soak_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The page "What held the memory", which lives with the other pictures of memory.
const page = "../dashboards/WHAT-HELD-THE-MEMORY.md"

// workplace is a directory as the root of a checkout is after `make replay-subject`: the programs are in bin.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("MEMSOAK_STATE_DIR", filepath.Join(dir, "state"))
	bin := filepath.Join(dir, "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	for _, p := range []string{fakedrivePath, soakPath} {
		require.NoError(t, os.Link(p, filepath.Join(bin, filepath.Base(p))))
	}
	out, err := exec.Command("go", "build", "-o", bin+"/", "./replay", "./replay/cmd/replay-study").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// shorter is a command of the page in its quickest form: the same command, less work.
func shorter(line string) string {
	switch {
	case strings.HasPrefix(line, "make replay"), strings.Contains(line, "--repeats"):
		return "bin/replay-study --help" // what it does with these flags is the cell below
	case strings.HasPrefix(line, "bin/replay-study"):
		return line + " --scale 40 --free 300ms"
	case strings.HasPrefix(line, "bin/soak run"):
		return line + " --protocol quick --cells 'workers == 1'"
	case strings.HasPrefix(line, "make view"), strings.HasPrefix(line, "bin/soak view"):
		return "bin/soak view --help" // it serves until it is stopped; its own tests open every page
	}
	return line
}

// TestTheCommandsOfThePageWork runs each command of the page, in their order, with the page's own subject file.
func TestTheCommandsOfThePageWork(t *testing.T) {
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	dir := workplace(t)
	yaml := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, yaml, "the page shows a subject file")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "my-service.yaml"), yaml[1], 0o644))
	lines := strings.Split(strings.TrimSpace(string(yaml[1])), "\n")
	assert.LessOrEqual(t, len(lines), 10, "ten lines of YAML are promised")

	makefile, err := os.ReadFile("../Makefile")
	require.NoError(t, err)
	ran := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		for line := range strings.Lines(string(block[1])) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			if words := strings.Fields(line); words[0] == "make" {
				assert.Contains(t, string(makefile), "\n"+words[1]+":", line)
			} else {
				require.Contains(t, []string{"bin/soak", "bin/replay-study"}, words[0], line)
			}
			short := shorter(line)
			if ran[short] {
				continue
			}
			ran[short] = true
			cmd := exec.Command("sh", "-c", short)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s\n%s", short, out)
			assert.NotEmpty(t, out, short)
		}
	}
	assert.Greater(t, len(ran), 5)
	for _, f := range []string{"soak-results/mine/report.html", "soak-results/pictures/flame.svg"} {
		assert.FileExists(t, filepath.Join(dir, f))
	}
	replays, err := filepath.Glob(filepath.Join(dir, "soak-results/replay-*"))
	require.NoError(t, err)
	require.Len(t, replays, 1)
	assert.FileExists(t, filepath.Join(replays[0], "v2.4.1-single-worker--many-small/report.html"))
	result, err := os.ReadFile(filepath.Join(replays[0], "replay.json"))
	require.NoError(t, err)
	assert.Contains(t, string(result), `"corpus": "many-small"`)
	assert.NotContains(t, string(result), `"outcome": "failed"`)
	table, err := os.ReadFile(filepath.Join(replays[0], "replay.html"))
	require.NoError(t, err)
	links := regexp.MustCompile(`href="([^"#:]+)(?:#([^"]+))?"`).FindAllStringSubmatch(string(table), -1)
	assert.Len(t, links, 2, "the cell's report, and the flame graph in it")
	for _, l := range links {
		to, err := os.ReadFile(filepath.Join(replays[0], l[1]))
		require.NoError(t, err)
		assert.Contains(t, string(to), l[2])
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
		assert.FileExists(t, filepath.Join(filepath.Dir(page), m[1]))
	}
}
