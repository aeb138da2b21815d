package conformance

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/needs"
)

// nodePackage is Google's Drive client for Node.
const nodePackage = "@googleapis/drive@26.0.1"

// nodeDir installs the client into a folder of the test's own and puts the program there.
func nodeDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true,"type":"module"}`), 0o600))
	run(t, os.Environ(), dir, needs.Get(t, "npm"), "install", "--no-audit", "--no-fund", "--loglevel=error", nodePackage)
	program, err := os.ReadFile("testdata/client.mjs")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "client.mjs"), program, 0o600))
	return dir
}

func TestNodeClient(t *testing.T) {
	wanted(t)
	dir := nodeDir(t)
	key := filepath.Join(t.TempDir(), "key.json")
	s := startDrive(t, treeFile, "--require-auth", "--service-account", key)
	tr := tree(t, treeFile)
	files := 0
	for it := range tr.All() {
		if !it.Trashed && it.Ordinal > 0 {
			files++
		}
	}
	for _, scenario := range []string{"refresh", "service-account"} {
		t.Run(scenario, func(t *testing.T) {
			var got struct {
				Email                                                        string
				Files, Pages, Streamed, RangeStatus, RangeBytes, ExportBytes int
				Refused                                                      struct {
					Status int
					Reason string
				}
			}
			out := run(t, s.env("KEY_FILE="+key), dir, "node", "client.mjs", scenario)
			require.NoError(t, json.Unmarshal([]byte(out), &got), out)
			require.Equal(t, corpus.Account().Email, got.Email)
			require.Equal(t, files, got.Files)
			require.Equal(t, (files+49)/50, got.Pages)
			require.Equal(t, 40, got.Streamed)
			require.Equal(t, 206, got.RangeStatus)
			require.Equal(t, 200, got.RangeBytes)
			require.Equal(t, exportSize(tr), got.ExportBytes)
			require.Equal(t, 404, got.Refused.Status)
			require.Equal(t, "notFound", got.Refused.Reason)
		})
	}
	t.Run("revoked refresh token", func(t *testing.T) {
		_, err := tryRun(t, s.env("REFRESH_TOKEN=1//revoked"), dir, "node", "client.mjs", "refresh")
		require.ErrorContains(t, err, "invalid_grant")
	})
	s.understood()
}

// exportSize is the size of the first document's export.
func exportSize(tr *corpus.Tree) int {
	for it := range tr.All() {
		if it.Kind == corpus.Document && !it.Trashed {
			return int(it.ExportSize)
		}
	}
	return -1
}

func TestNodeClientResumesUploads(t *testing.T) {
	wanted(t)
	dir := nodeDir(t)
	s := startDrive(t, "none")
	plan := `{"rules": [
		{"name": "lost replies", "ops": ["upload"], "skip": 2, "limit": 2, "reset": {"at": "end"}},
		{"name": "broken chunk", "ops": ["upload"], "skip": 5, "limit": 1, "reset": {"after": "100000"}},
		{"name": "overload", "ops": ["upload"], "skip": 6, "limit": 1, "error": {"status": 503}}
	]}`
	require.NoError(t, s.admin.SetFaults(context.Background(), []byte(plan)))
	var got struct {
		Breaks    int
		Copied    bool
		Multipart struct{ Size string }
	}
	out := run(t, s.env(), dir, "node", "client.mjs", "upload")
	require.NoError(t, json.Unmarshal([]byte(out), &got), out)
	require.GreaterOrEqual(t, got.Breaks, 2, "the plan's faults struck")
	require.True(t, got.Copied)
	require.Equal(t, "70000", got.Multipart.Size)
	s.understood()
}
