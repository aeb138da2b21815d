package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// small is a release whose only program is this test.
func small(t *testing.T) (r *release, programs []string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644))
	}
	return &release{root: dir, out: t.TempDir(), version: "v1.2.3", at: time.Unix(1e9, 0).UTC()}, []string{self}
}

func TestAnArchiveIsTheSameByteForByte(t *testing.T) {
	r, programs := small(t)
	first, err := r.archive("linux", "amd64", programs)
	require.NoError(t, err)
	assert.Equal(t, "memsoak_v1.2.3_linux_amd64.tar.gz", filepath.Base(first))
	a, err := os.ReadFile(first)
	require.NoError(t, err)
	second, err := r.archive("linux", "amd64", programs)
	require.NoError(t, err)
	b, err := os.ReadFile(second)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(a, b))
	require.NoError(t, r.checksums([]string{first}))
	sums, err := os.ReadFile(filepath.Join(r.out, "SHA256SUMS"))
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("%x  %s\n", sha256.Sum256(a), filepath.Base(first)), string(sums))
}

func TestTheBillNamesTheModules(t *testing.T) {
	r, _ := small(t)
	program := filepath.Join(r.out, "fakedrive")
	said, err := exec.Command("go", "build", "-o", program, "../../fakedrive/cmd/fakedrive").CombinedOutput()
	require.NoError(t, err, "%s", said)
	path := filepath.Join(r.out, "bill.json")
	require.NoError(t, r.bill(path, []string{program}))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var got struct {
		BOMFormat  string
		Components []component
		Metadata   struct{ Component component }
	}
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, "CycloneDX", got.BOMFormat)
	assert.NotEmpty(t, got.Metadata.Component.Name)
	names := map[string]string{}
	for _, c := range got.Components {
		names[c.Name] = c.PURL
	}
	assert.True(t, strings.HasPrefix(names["github.com/spf13/cobra"], "pkg:golang/github.com/spf13/cobra@v"), names)
	assert.True(t, strings.HasPrefix(names["stdlib"], "pkg:golang/stdlib@1."))
}

func TestAProgramThatNeedsALoaderIsRefused(t *testing.T) {
	sh, err := exec.LookPath("sh")
	require.NoError(t, err)
	err = static(sh)
	if err == nil {
		t.Skip("SKIPPED: sh is static here")
	}
	assert.ErrorContains(t, err, "is not static")
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-out", "x", "y"}, {"-nonsense"}} {
		var out, errs bytes.Buffer
		assert.Equal(t, 2, run(args, &out, &errs), args)
	}
}
