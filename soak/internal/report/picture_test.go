package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// TestPicturesAreFilesOfTheirOwn: well-formed, small, with the limit and the culprit in them, and nothing that is
// loaded from elsewhere.
func TestPicturesAreFilesOfTheirOwn(t *testing.T) {
	dir, _ := small(t, drawn.Options{Axes: drawn.Small()[:1]})
	run, err := report.Load(t.Context(), dir)
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "pictures")
	paths, err := report.Pictures(run, out)
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(out, report.MemoryPicture), filepath.Join(out, report.FlamePicture)}, paths)
	for i, want := range []string{"charged to the cgroup", "box own"} {
		b, err := os.ReadFile(paths[i])
		require.NoError(t, err)
		text := string(b)
		assert.Less(t, len(text), 64<<10)
		assert.Contains(t, text, want)
		assert.True(t, strings.HasPrefix(text, `<svg xmlns="http://www.w3.org/2000/svg"`))
		assert.NotContains(t, text, "href")
		for d := xml.NewDecoder(strings.NewReader(text)); ; {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, paths[i])
		}
	}
}

func TestARunWithoutRecordsHasNoPicture(t *testing.T) {
	dir, _ := small(t, drawn.Options{Axes: drawn.Small()[:1]})
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "cells")))
	run, err := report.Load(t.Context(), dir)
	require.NoError(t, err)
	_, err = report.Pictures(run, t.TempDir())
	assert.ErrorIs(t, err, report.ErrNoPicture)
}
