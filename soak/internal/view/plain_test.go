package view_test

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/plain"
	"github.com/memsoak/memsoak/soak/internal/pyroscope/pyrotest"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// TestReportOfPlainProfilesInABrowser has the report of a folder of profiles: what grew is on the first screen, and the
// page fits, without errors.
func TestReportOfPlainProfilesInABrowser(t *testing.T) {
	b := newBrowser(t)
	var server pyrotest.Server
	server.Growing("cart", nil, time.Now().Add(-time.Hour), time.Minute, 12)
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "last night")
	var files []string
	for i, st := range server.Profiles() {
		var out bytes.Buffer
		require.NoError(t, st.Profile.Write(&out))
		files = append(files, filepath.Join(from, fmt.Sprint("profile ", i)))
		require.NoError(t, os.WriteFile(files[i], out.Bytes(), 0o644))
	}
	_, err := plain.Run(files, "last night", dir)
	require.NoError(t, err)
	rv, err := new(profiles.Judge).Run(dir)
	require.NoError(t, err)
	require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile), rv))
	require.NoError(t, report.Generate(t.Context(), dir))
	page := (&url.URL{Scheme: "file", Path: filepath.Join(dir, report.HTMLFile)}).String()
	for _, width := range []int64{1280, 390} {
		b.open(page, width, "light")
		b.fits("plain profiles", width)
	}
	b.accessible("plain profiles")
	b.open(page, 1280, "dark")
	text := eval[string](b, firstScreen)
	assert.Contains(t, text, "live heap 2.0 MiB to 13.0 MiB in 12 profiles (growth found): "+
		"example.com/cart.(*Cart).Add grew by 11.0 MiB")
	assert.Contains(t, text, "110 more goroutines of example.com/cart.watch")
	assert.Equal(t, "cart.(*Cart).Add", eval[string](b,
		`document.querySelector("#cell-1-growth .flame .own").textContent`), "the difference has what grew alone")
	b.clean(page)
}
