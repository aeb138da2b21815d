package main

import (
	"bytes"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// TestMain lets the test's binary stand in for soak where soak starts itself, as a fake and as the canary, and for
// subjects.
func TestMain(m *testing.M) {
	testsubject.Main()
	if len(os.Args) > 1 && (os.Args[1] == "fakes3" || os.Args[1] == "gateway" || os.Args[1] == "canary") {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == "web" {
		if err := serveWeb(os.Args[2:]); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// programs puts fakedrive and soak on PATH.
func programs(t *testing.T) {
	t.Helper()
	selfAsSoak(t)
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir+"/",
		"github.com/memsoak/memsoak/fakedrive/cmd/fakedrive").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// selfAsSoak puts the test's binary on PATH as soak, and returns where it is.
func selfAsSoak(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "soak")))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("GITHUB_STEP_SUMMARY", "")
	return self
}

// scratch is a git repository with a small subject.
type scratch struct {
	t   *testing.T
	dir string
}

func (s scratch) sh(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

func (s scratch) write(name string, content []byte) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, content, 0o644))
}

func (s scratch) commit(message string) string {
	s.t.Helper()
	s.sh("git", "add", ".")
	s.sh("git", "commit", "-qm", message)
	return s.sh("git", "rev-parse", "HEAD")
}

// build checks a revision out and builds it, as a developer or CI would.
func (s scratch) build(rev string) {
	s.t.Helper()
	s.sh("git", "checkout", "-q", rev)
	s.sh("go", "build", "-o", "bin/copier", ".")
}

func soakCmd(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

// newScratch makes the repository: four commits, the third of which leaks. It returns their hashes, the oldest first,
// and the line of the leak.
func newScratch(t *testing.T) (s scratch, revs []string, line int) {
	t.Helper()
	from := filepath.Join("testdata", "scratch")
	s = scratch{t, t.TempDir()}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		return b
	}
	for _, name := range []string{"go.mod", "main.go", "index/index.go", "soak.yaml", "subject.yaml", "tiny.yaml"} {
		s.write(name, read(name))
	}
	s.write(".gitignore", []byte("/bin\n/runs\n"))
	s.sh("git", "init", "-q")
	revs = append(revs, s.commit("Copy files"))
	s.write("README.md", []byte("copies files\n"))
	revs = append(revs, s.commit("Say what it is"))
	leaks := read("index/index.go.leaks")
	s.write("index/index.go", leaks)
	revs = append(revs, s.commit("Remember what was copied"))
	s.write("README.md", []byte("copies files, and remembers them\n"))
	revs = append(revs, s.commit("Say more"))
	before, _, found := bytes.Cut(leaks, []byte("// never let go"))
	require.True(t, found)
	return s, revs, 1 + bytes.Count(before, []byte("\n"))
}

// The gate's promise, on a repository of which it knows nothing: a seeded regression fails with the annotation at its
// line, the clean parent passes, and bisect finds the commit.
func TestARegressionInAScratchRepository(t *testing.T) {
	if testing.Short() {
		t.Skip("records a dozen trials")
	}
	programs(t)
	s, revs, line := newScratch(t)
	t.Chdir(s.dir)

	s.build(revs[3])
	code, _, stderr := soakCmd("run", "-f", "soak.yaml", "--out", "runs/head", "--json")
	require.Equal(t, 0, code, stderr)
	code, stdout, stderr := soakCmd("gate", "runs/head", "--against", revs[1], "--repeats", "1", "--github")
	assert.Equal(t, 99, code, "%s\n%s", stdout, stderr)
	assert.Contains(t, stderr, "::error file=index/index.go,line="+strconv.Itoa(line)+",", stdout)
	assert.Contains(t, stdout, "leak at example.com/copier/index.(*Index).Add was not there before")
	sarif, err := os.ReadFile("runs/head/results.sarif")
	require.NoError(t, err)
	assert.Contains(t, string(sarif), `"uri": "index/index.go"`)

	s.build(revs[1])
	code, _, stderr = soakCmd("run", "-f", "soak.yaml", "--out", "runs/parent", "--json")
	require.Equal(t, 0, code, stderr)
	code, stdout, stderr = soakCmd("gate", "runs/parent", "--against", revs[0], "--repeats", "1", "--github")
	assert.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	assert.NotContains(t, stderr, "::error")

	code, stdout, stderr = soakCmd("bisect", revs[0], revs[3], "-f", "soak.yaml", "--out", "runs/bisect", "--class",
		"leak", "--at", "(*Index).Add")
	assert.Equal(t, 0, code, "%s\n%s", stdout, stderr)
	assert.Contains(t, stdout, "first bad commit: "+revs[2]+" Remember what was copied")
	assert.Empty(t, s.sh("git", "status", "--porcelain"), "the user's checkout is left alone")
	assert.NotContains(t, s.sh("git", "worktree", "list"), "\n", "no worktree is left")
}
