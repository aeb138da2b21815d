package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/checkout"
)

const acme = "example.org/acme/soak"

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", name, args, out)
	return string(out)
}

// rehomed is a copy of this checkout under another path.
func rehomed(t *testing.T) (dir, before string) {
	t.Helper()
	root, err := checkout.Root(t.Context())
	require.NoError(t, err)
	before, err = checkout.Module(root)
	require.NoError(t, err)
	dir = t.TempDir()
	require.NoError(t, checkout.Copy(t.Context(), root, dir))
	command(t, dir, "git", "init", "-q")
	n, err := rehome(context.Background(), dir, acme)
	require.NoError(t, err)
	require.Greater(t, n, 300)
	return dir, before
}

// TestARehomedCheckoutBuilds, finds all of its imports in tests as well, and names the old path in recorded data alone.
func TestARehomedCheckoutBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a copy of the repository")
	}
	dir, before := rehomed(t)
	files, err := checkout.Files(t.Context(), dir)
	require.NoError(t, err)
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		if !recorded(name) {
			assert.False(t, bytes.Contains(b, []byte(before)), "%s names %s", name, before)
		}
		if strings.HasPrefix(name, ".github/") {
			assert.False(t, bytes.Contains(b, []byte("uses: "+owner(before)+"/")), name)
		}
	}
	assert.Empty(t, command(t, dir, "gofmt", "-l", "."))
	mods := command(t, dir, "go", "list", "-m")
	assert.Equal(t, acme+"\n", mods)
	for _, line := range strings.Fields(command(t, dir, "go", "list", "-deps", "-test", "./...")) {
		assert.False(t, strings.HasPrefix(line, before+"/"), line)
	}
	command(t, dir, "go", "build", "./...")
	if os.Getenv("MEMSOAK_LONG") != "" {
		command(t, dir, "go", "vet", "./...")
		// Recorded data keeps its paths, and these read it.
		command(t, dir, "go", "test", "-short", "./profiles/...", "./soak/gate/...", "./soak/internal/accuracy/...")
	}
}

func TestOnlyWholePathsAreRewritten(t *testing.T) {
	rewrite := rewriter("github.com/a/b", "example.org/x/y")
	for in, want := range map[string]string{
		"github.com/a/b":                        "example.org/x/y",
		"github.com/a/b/c github.com/a/b@v1":    "example.org/x/y/c example.org/x/y@v1",
		"github.com/a/bc":                       "github.com/a/bc",
		"github.com/a/b-c":                      "github.com/a/b-c",
		"uses: a/b/.github/actions/gate@v1":     "uses: x/y/.github/actions/gate@v1",
		"uses: a/bc@v1":                         "uses: a/bc@v1",
		`{"schema":"b/verdict/v1","x":"b_run"}`: `{"schema":"b/verdict/v1","x":"b_run"}`,
	} {
		assert.Equal(t, want, string(rewrite([]byte(in))))
	}
}

func TestRecordedDataKeepsItsPaths(t *testing.T) {
	for name, want := range map[string]bool{
		"profiles/testdata/a/b.json": true, "profiles/baselines/accuracy.json": true, "LICENSE": true,
		"soak/internal/holders/testdata/prog/main.go": false, "soak/subjects/migrator.yaml": false, "README.md": false,
	} {
		assert.Equal(t, want, recorded(name), name)
	}
}

func TestAWrongPathIsOneLineAndCode2(t *testing.T) {
	for _, args := range [][]string{{}, {"memsoak"}, {"nodot/memsoak"}, {"github.com/a b/c"}, {"github.com//c"},
		{"github.com/../c"}, {"GitHub.com/a/b"}, {"a.b/c", "d"}} {
		var out, errs bytes.Buffer
		assert.Equal(t, 2, run(args, &out, &errs), args)
		assert.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())
		assert.Empty(t, out.String())
	}
}
