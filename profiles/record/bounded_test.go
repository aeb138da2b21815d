package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/bounded"
)

// TestFilesOfARunAreBounded: a run directory may come from anywhere.
func TestFilesOfARunAreBounded(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{RunFile, TrialFile, VerdictFile, SamplesFile} {
		require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, name)))
	}
	for name, read := range readers {
		require.ErrorIs(t, read(dir), bounded.ErrNotRegular, name)
	}
	deep := t.TempDir()
	for _, name := range []string{RunFile, TrialFile, VerdictFile, SamplesFile} {
		require.NoError(t, os.WriteFile(filepath.Join(deep, name), []byte(strings.Repeat("[", 2<<20)), 0o600))
	}
	for name, read := range readers {
		require.ErrorIs(t, read(deep), bounded.ErrTooLarge, name)
	}
}

var readers = map[string]func(dir string) error{
	"run":         func(dir string) error { _, err := ReadRun(dir); return err },
	"trial":       func(dir string) error { _, err := ReadTrial(dir); return err },
	"verdict":     func(dir string) error { _, err := ReadVerdict(dir); return err },
	"run verdict": func(dir string) error { _, err := ReadRunVerdict(dir); return err },
	"samples":     func(dir string) error { return ReadSamples(dir, func(Sample) bool { return true }) },
}
