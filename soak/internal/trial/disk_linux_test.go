package trial_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/testsubject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

func TestAFullDiskEndsTheTrialWithAnError(t *testing.T) {
	o := options(t, testsubject.OK)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("SKIPPED, a small file system can't be mounted: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, 0)) })
	o.Dir = filepath.Join(dir, "trial-1")
	_, err := trial.Run(t.Context(), o)
	require.ErrorIs(t, err, syscall.ENOSPC)
}
