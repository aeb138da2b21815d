package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNoPackageWithGoroutinesIsForgotten: each package that has to do with goroutines and has tests is in the list or
// left out by name, and nothing is left out that isn't there.
func TestNoPackageWithGoroutinesIsForgotten(t *testing.T) {
	t.Chdir("../..")
	list := func(args ...string) map[string]bool {
		var out, stderr bytes.Buffer
		require.Zero(t, run(args, &out, &stderr), "%s", &stderr)
		m := map[string]bool{}
		for line := range strings.Lines(out.String()) {
			m[strings.TrimPrefix(strings.TrimSpace(line), "./")] = true
		}
		return m
	}
	quick, all := list(), list("-all")
	for dir := range all {
		_, out := slow[dir]
		assert.NotEqual(t, quick[dir], out, dir)
	}
	for dir, why := range slow {
		assert.True(t, all[dir], "%s is left out and has no goroutines", dir)
		assert.NotEmpty(t, why, dir)
	}
	for _, dir := range []string{"fakedrive/fault", "migrator/internal/pace", "migrator/internal/queue/redis",
		"soak/internal/sampler"} {
		assert.True(t, quick[dir], dir)
	}
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	assert.Contains(t, string(makefile), "run ./internal/racelist", "what make race runs is this list")
}

// TestShares: a statement, a guard or a group; not a function with such a name.
func TestShares(t *testing.T) {
	for body, want := range map[string]bool{
		"func f() { go f() }":                             true,
		"import \"sync\"\nvar mu sync.Mutex":              true,
		"func Go() {}\nfunc f() { Go() }":                 false,
		"import \"sync/atomic\"\nvar _ = atomic.AddInt64": true,
	} {
		path := filepath.Join(t.TempDir(), "x.go")
		require.NoError(t, os.WriteFile(path, []byte("package x\n"+body), 0o600))
		got, err := shares(path)
		require.NoError(t, err)
		assert.Equal(t, want, got, body)
	}
}
