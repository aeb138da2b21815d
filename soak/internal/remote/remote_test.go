package remote_test

import (
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/remote"
)

func TestShardsComeBackAsTheyWereStored(t *testing.T) {
	store := s3mem.New()
	require.NoError(t, store.CreateBucket("results"))
	srv := httptest.NewServer(gofakes3.New(store).Server())
	defer srv.Close()
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CA_BUNDLE": "",
		"AWS_REGION": "us-east-1"} {
		t.Setenv(k, v)
	}
	o := remote.Options{Endpoint: srv.URL}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "cells/a,b=1"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.json"), []byte("{}"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cells/a,b=1/x"), []byte("content"), 0o644))
	for _, shard := range []string{"shard-1-of-2", "shard-2-of-2"} {
		require.NoError(t, remote.Upload(t.Context(), dir, "s3://results/nightly/"+shard, o))
	}
	dirs, cleanup, err := remote.Fetch(t.Context(), []string{"s3://results/nightly", "local"}, o)
	require.NoError(t, err)
	require.Len(t, dirs, 3)
	assert.Equal(t, "local", dirs[2])
	got, err := os.ReadFile(filepath.Join(dirs[1], "cells/a,b=1/x"))
	require.NoError(t, err)
	assert.Equal(t, "content", string(got))
	cleanup()
	assert.NoDirExists(t, dirs[0])

	_, _, err = remote.Fetch(t.Context(), []string{"s3://results/nothing"}, o)
	assert.ErrorContains(t, err, "has no recorded run")
}

func TestAKeyCannotLeaveTheDirectory(t *testing.T) {
	store := s3mem.New()
	require.NoError(t, store.CreateBucket("results"))
	srv := httptest.NewServer(gofakes3.New(store).Server())
	defer srv.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_CA_BUNDLE", "")
	_, err := store.PutObject("results", "run/../../../escaped", map[string]string{}, emptyReader{}, 0, nil)
	require.NoError(t, err)
	_, _, err = remote.Fetch(t.Context(), []string{"s3://results/run"}, remote.Options{Endpoint: srv.URL})
	assert.ErrorContains(t, err, "escapes")
}

func TestSplit(t *testing.T) {
	b, p, err := remote.Split("s3://bucket/a/b/")
	require.NoError(t, err)
	assert.Equal(t, "bucket a/b", b+" "+p)
	for _, bad := range []string{"bucket/a", "s3://", "http://x/y"} {
		_, _, err := remote.Split(bad)
		assert.ErrorIs(t, err, remote.ErrAddress, bad)
	}
}

// TestAServiceThatIsMute: one that takes connections and never answers is an error.
func TestAServiceThatIsMute(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_CA_BUNDLE", "")
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections for it
	require.NoError(t, err)
	defer ln.Close()
	o := remote.Options{Endpoint: "http://" + ln.Addr().String(), Answer: 20 * time.Millisecond}
	_, _, err = remote.Fetch(t.Context(), []string{"s3://results/run"}, o)
	assert.ErrorContains(t, err, "list s3://results/run")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "run.json"), []byte("{}"), 0o644))
	assert.ErrorContains(t, remote.Upload(t.Context(), dir, "s3://results/run", o), "store s3://results/run/run.json")
}
