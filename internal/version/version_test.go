package version

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	released = Info{Module: "example.org/x", Version: "v1.2.0", Go: "go1.26.0"}
	built    = Info{Module: "example.org/x", Version: "v1.2.1-0.20260101000000-0123456789ab", Revision: "0123456789abcdef",
		Modified: true, Go: "go1.26.0"}
)

func TestAVersionNamesItsRevision(t *testing.T) {
	assert.Equal(t, "v1.2.0, go1.26.0", released.String())
	assert.Equal(t, built.Version+" (revision 0123456789ab, with changes), go1.26.0", built.String())
	assert.Equal(t, "(devel), go1.26.0", Info{Version: devel, Go: "go1.26.0"}.String())
	assert.NotEmpty(t, Read().Go)
	assert.NotEmpty(t, Read().Module)
}

func TestProgramsAreInstalledAtTheSameVersion(t *testing.T) {
	assert.Equal(t, "go install example.org/x/migrator/cmd/migrator@v1.2.0", released.Install("migrator"))
	assert.Equal(t, "go install example.org/x/fakedrive/cmd/fakedrive@latest", built.Install("fakedrive"),
		"a proxy has no checkout")
	assert.EqualError(t, released.Missing("soak"),
		"the program soak is missing: go install example.org/x/soak/cmd/soak@v1.2.0")
	assert.ErrorContains(t, built.Missing("soak"), "`make build`")
}

func TestOnlyWhatNamesItsSourceIsReleased(t *testing.T) {
	for _, c := range []struct {
		version, revision string
		modified, want    bool
	}{
		{"v1.2.0", "", false, true}, {"v1.2.0", "0123", false, true}, {"v1.2.0+dirty", "0123", true, false},
		{"v0.0.0-20260101000000-0123456789ab", "", false, true}, // a commit from a module cache
		{"v0.0.0-20260101000000-0123456789ab", "0123456789abcdef", false, false}, {devel, "", false, false},
	} {
		assert.Equal(t, c.want, Info{Version: c.version, Revision: c.revision, Modified: c.modified}.Released(), "%+v", c)
	}
}

// TestAnotherVersionIsRefused: the file is this test's own program, whose version isn't v1.2.0.
func TestAnotherVersionIsRefused(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	at := filepath.Join(t.TempDir(), "migrator")
	require.NoError(t, os.Symlink(self, at))
	err = released.Check(at)
	require.ErrorIs(t, err, ErrOther)
	assert.ErrorContains(t, err, "this is v1.2.0; go install example.org/x/migrator/cmd/migrator@v1.2.0")
	assert.NoError(t, built.Check(at), "in a checkout make build builds all")
	mine := Read()
	mine.Version, mine.Revision = "v9", ""
	assert.ErrorIs(t, mine.Check(at), ErrOther)

	script := filepath.Join(t.TempDir(), "fakedrive")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	assert.ErrorIs(t, released.Check(script), ErrOther, "what says nothing is no version of ours")
	assert.NoError(t, released.Check(filepath.Join(filepath.Dir(script), "copier")),
		"a program of the user's is not asked")
}
