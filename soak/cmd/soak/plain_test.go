package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/pyroscope/pyrotest"
	"github.com/memsoak/memsoak/soak/internal/view"
)

// plainFolder writes growing profiles under names that say nothing.
func plainFolder(t *testing.T, n int) string {
	t.Helper()
	dir, server := filepath.Join(t.TempDir(), "last night"), pyrotest.Server{}
	require.NoError(t, os.Mkdir(dir, 0o755))
	server.Growing("cart", nil, time.Now().Add(-time.Hour), time.Minute, n)
	for i, st := range server.Profiles() {
		var b bytes.Buffer
		require.NoError(t, st.Profile.Write(&b))
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("from a mail (%d)", i)), b.Bytes(), 0o644))
	}
	return dir
}

func TestReportOfPlainProfilesHasGrowthAndFlameGraphs(t *testing.T) {
	dir := plainFolder(t, 12)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("of Tuesday\n"), 0o644))
	var stdout, stderr bytes.Buffer
	require.Zero(t, run([]string{"report", dir}, &stdout, &stderr), stderr.String())
	html, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	page := string(html)
	for _, want := range []string{"What grew, over 12 profiles", "Goroutines that became more", "cart.watch",
		"Live bytes at the peak: snapshot 12", "Growth between profiles: snapshot 1 to 12", "live heap 2.0 MiB to 13.0 MiB",
		"(*Cart).Add"} {
		assert.Contains(t, page, want)
	}
	grown := page[strings.Index(page, "Growth between profiles"):]
	assert.Contains(t, grown[:400], "11,534,336 bytes", "the difference is in absolute bytes: eleven mebibytes")
	assert.NotContains(t, page, "their warnings say what is missing")
	for _, f := range []string{"run.json", "cells"} {
		assert.NoDirExists(t, filepath.Join(dir, f))
		assert.NoFileExists(t, filepath.Join(dir, f))
	}
	stdout.Reset()
	require.Zero(t, run([]string{"diagnose", dir}, &stdout, &stderr), stderr.String())
	assert.Contains(t, stdout.String(), "GROWING: live heap 2.0 MiB -> 13 MiB", "the report is no profile")
}

func TestReportOfOneProfileShowsWhatIsThere(t *testing.T) {
	dir := plainFolder(t, 1)
	var stdout, stderr bytes.Buffer
	require.Zero(t, run([]string{"report", dir}, &stdout, &stderr), stderr.String())
	html, err := os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	assert.Contains(t, string(html), "most of it, 1.0 MiB, is from example.com/cart.")
	assert.Contains(t, string(html), "Live bytes at the peak")
	assert.NotContains(t, string(html), "Growth between")
}

func TestReportOfAFolderWithoutProfilesIsUsage(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("of Tuesday\n"), 0o644))
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 2, run([]string{"report", dir}, &stdout, &stderr))
	assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
}

func TestViewOfPlainProfilesServesARunThatIsRemovedAfterwards(t *testing.T) {
	dir := plainFolder(t, 6)
	at, clean, err := asRun(t.Context(), dir)
	require.NoError(t, err)
	srv, err := view.New([]string{at})
	require.NoError(t, err)
	for _, page := range []string{"/runs/last_night/", "/pprof/last_night/1.1.6.heap/flamegraph"} {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+page, nil))
		assert.Equal(t, http.StatusOK, w.Code, page)
		assert.Contains(t, w.Body.String(), "(*Cart).Add", page)
	}
	clean()
	assert.NoDirExists(t, at)
}
