//go:build unix

package needs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// standIn is an installer whose program is a file.
type standIn struct {
	installer
	dir string
}

func (s standIn) there() bool {
	_, err := os.Stat(filepath.Join(s.dir, "program"))
	return err == nil
}

// stand is an apt-get of a machine: a script that notes its calls, and an installer that uses it.
func stand(t *testing.T, script string) (in standIn, calls func() []string) {
	t.Helper()
	dir := t.TempDir()
	apt := filepath.Join(dir, "apt-get")
	// The command comes after -q -y and two options.
	text := "#!/bin/sh\ncd " + dir + "\nshift 6\necho $1 >>calls\n[ -e policy ] || exit 9\n" + script
	require.NoError(t, os.WriteFile(apt, []byte(text), 0o755))
	return standIn{installer{root: true, aptGet: apt, dir: filepath.Join(dir, "notes"), policy: filepath.Join(dir,
			"policy")}, dir}, func() []string {
			b, err := os.ReadFile(filepath.Join(dir, "calls"))
			require.NoError(t, err)
			return strings.Fields(string(b))
		}
}

func TestEmptyListsAreFilledFirst(t *testing.T) {
	in, calls := stand(t, "[ $1 = update ] && { touch lists; exit; }\n[ -e lists ] && touch program")
	require.NoError(t, in.install(t.Context(), "broker", in.there))
	assert.Equal(t, []string{"install", "update", "install"}, calls())
	assert.NoFileExists(t, in.policy, "the rule against services is taken back")
	require.NoError(t, in.install(t.Context(), "broker", in.there))
	assert.Len(t, calls(), 3, "what is there is not installed again")
	require.NoError(t, os.Remove(filepath.Join(in.installer.dir, "..", "program")))
	require.NoError(t, in.install(t.Context(), "broker", in.there))
	assert.Equal(t, []string{"install", "update", "install", "install"}, calls(), "lists that are there are used")
}

func TestAFailureIsNotTriedByEachTest(t *testing.T) {
	in, calls := stand(t, "echo no network >&2; exit 100")
	err := in.install(t.Context(), "broker", in.there)
	require.ErrorContains(t, err, "apt-get install broker: update: exit status 100: no network")
	again := in.install(t.Context(), "broker", in.there)
	assert.Equal(t, err.Error(), again.Error())
	assert.Equal(t, []string{"install", "update"}, calls())
	_ = in.install(t.Context(), "another", in.there)
	assert.Len(t, calls(), 4)
}

func TestAPackageWithoutTheProgramIsAFailure(t *testing.T) {
	in, calls := stand(t, "")
	require.ErrorContains(t, in.install(t.Context(), "broker", in.there),
		"it is installed, but its program is hidden or was removed")
	require.Error(t, in.install(t.Context(), "broker", in.there))
	assert.Equal(t, []string{"install"}, calls())
}

func TestOnlyRootInstalls(t *testing.T) {
	in, _ := stand(t, "")
	in.root = false
	assert.ErrorContains(t, in.install(t.Context(), "broker", in.there), "only root may")
	assert.NoDirExists(t, in.installer.dir)
}

// TestAProgramThatIsNoneIsNotFound: a device or a file that can't be run in its place is as good as nothing.
func TestAProgramThatIsNoneIsNotFound(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	p := Program{Name: "x", Names: []string{"y"}, Paths: []string{filepath.Join(dir, "*", "x")}}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o644))
	assert.Empty(t, p.All())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "y"), nil, 0o755))
	assert.Equal(t, []string{filepath.Join(dir, "y")}, p.All())
	require.NoError(t, os.Mkdir(filepath.Join(dir, "lib"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lib", "x"), nil, 0o755))
	assert.Equal(t, filepath.Join(dir, "lib", "x"), p.All()[0], "what is behind a wrapper comes first")
}

// A program that the environment names goes before those that are here; one that is not there is a slip.
func TestTheEnvironmentNamesAProgram(t *testing.T) {
	own := filepath.Join(t.TempDir(), "own")
	require.NoError(t, os.WriteFile(own, nil, 0o755))
	t.Setenv("REDIS_SERVER_BIN", own)
	path, err := Find(t.Context(), "redis-server")
	require.NoError(t, err)
	assert.Equal(t, own, path)
	t.Setenv("REDIS_SERVER_BIN", own+"x")
	_, err = Find(t.Context(), "redis-server")
	require.Error(t, err)
	assert.NotErrorIs(t, err, ErrMissing)
}

func TestAMissingProgramSkipsByName(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	Programs = append(Programs, Program{Name: "nonsense", Package: "no-such-package"})
	defer func() { Programs = Programs[:len(Programs)-1] }()
	_, err := Find(t.Context(), "nonsense")
	require.ErrorIs(t, err, ErrMissing)
	assert.ErrorContains(t, err, "nonsense is missing: install the package no-such-package (")
	test := &skipped{}
	Skip(test, err)
	assert.Contains(t, test.why, "nonsense is missing")
	test = &skipped{}
	Skip(test, os.ErrNotExist)
	assert.Empty(t, test.why, "another error is the test's to report")
	_, err = Find(t.Context(), "unknown")
	assert.NotErrorIs(t, err, ErrMissing, "a slip is no reason to skip")
}

// skipped is a test that only notes why it was to be skipped.
type skipped struct {
	testing.TB
	why string
}

func (s *skipped) Helper()       {}
func (s *skipped) Skip(a ...any) { s.why = fmt.Sprint(a...) }
