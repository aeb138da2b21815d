package fakes3_test

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// conformance skips a test that needs programs which `make conformance-fakes3` installs, unless it is that target.
func conformance(t *testing.T) {
	t.Helper()
	if os.Getenv("MEMSOAK_CONFORMANCE") == "" {
		t.Skip("needs programs that are installed on demand: run make conformance-fakes3")
	}
}

// command runs a program to its end and returns what it printed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
	return string(out)
}

// bodies are the files of the conformance tests by name; one is large enough to come in parts.
func bodies() map[string][]byte {
	files := map[string][]byte{"large.bin": content(17<<20 + 5)}
	for _, n := range sizes {
		files[fmt.Sprintf("dir %d/ü+%d.bin", n%3, n)] = content(n)
	}
	return files
}

func writeBodies(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range bodies() {
		p := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, b, 0o644))
	}
	return dir
}

// understood demands that nothing was answered as unknown.
func understood(t *testing.T, s *sink) {
	t.Helper()
	c, err := s.admin.Counters(t.Context())
	require.NoError(t, err)
	require.Zero(t, c.NotUnderstood)
}

func TestConformanceRclone(t *testing.T) {
	conformance(t)
	rclone, err := filepath.Abs("../../../.tools/rclone")
	require.NoError(t, err)
	s := start(t, fakes3.Config{})
	src := writeBodies(t)
	for _, endpoint := range []string{s.HTTP, s.HTTPS} {
		env := []string{"RCLONE_CONFIG=" + filepath.Join(t.TempDir(), "none.conf"), "RCLONE_CONFIG_SINK_TYPE=s3",
			"RCLONE_CONFIG_SINK_PROVIDER=AWS",
			"RCLONE_CONFIG_SINK_ACCESS_KEY_ID=id", "RCLONE_CONFIG_SINK_SECRET_ACCESS_KEY=secret",
			"RCLONE_CONFIG_SINK_REGION=us-east-1",
			"RCLONE_CONFIG_SINK_ENDPOINT=" + endpoint, "RCLONE_CONFIG_SINK_FORCE_PATH_STYLE=true", "RCLONE_CA_CERT=" + s.CAFile,
			"RCLONE_RETRIES=1"}
		ways := [][]string{
			nil, {"--s3-upload-cutoff=5M", "--s3-chunk-size=5M"}, {"--s3-use-unsigned-payload=true"},
			{"--s3-upload-cutoff=5M", "--s3-chunk-size=5M", "--s3-disable-checksum"},
		}
		if endpoint == s.HTTP { // rclone's bodies can't be read twice, so without TLS it signs none of them
			env = append(env, "RCLONE_S3_USE_UNSIGNED_PAYLOAD=true")
		}
		for _, how := range ways {
			require.NoError(t, s.admin.Do(t.Context(), http.MethodDelete, "objects", nil, nil))
			command(t, src, env, rclone, append([]string{"copy", src, "sink:bucket/copy"}, how...)...)
			for name, b := range bodies() {
				requireStored(t, s, "copy/"+name, b)
			}
			listed := command(t, src, env, rclone, "lsf", "-R", "--files-only", "sink:bucket/copy")
			for name := range bodies() {
				require.Contains(t, listed, name+"\n")
			}
			if len(how) < 3 {
				command(t, src, env, rclone, "check", src, "sink:bucket/copy")
			}
			again := command(t, src, env, rclone, "copy", "-v", src, "sink:bucket/copy")
			require.Contains(t, again, "nothing to transfer")
		}
		command(t, src, env, rclone, "moveto", "sink:bucket/copy/large.bin", "sink:bucket/moved.bin")
		requireStored(t, s, "moved.bin", bodies()["large.bin"])
		command(t, src, env, rclone, "purge", "sink:bucket/copy")
		require.Len(t, s.entries(t, ""), 1)
	}
	understood(t, s)
}

//go:embed testdata/upload.mjs
var uploadScript []byte

// jsPackages are the JavaScript SDK, pinned.
var jsPackages = []string{"@aws-sdk/client-s3@3", "@aws-sdk/lib-storage@3"}

func TestConformanceJavaScriptSDK(t *testing.T) {
	conformance(t)
	npm := needs.Get(t, "npm")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "upload.mjs"), uploadScript, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true,"type":"module"}`), 0o644))
	command(t, dir, nil, npm, append([]string{"install", "--no-audit", "--no-fund", "--no-save"}, jsPackages...)...)
	s := start(t, fakes3.Config{})
	src := writeBodies(t)
	for _, endpoint := range []string{s.HTTP, s.HTTPS} {
		u, err := url.Parse(endpoint)
		require.NoError(t, err)
		out := command(t, dir, []string{"NODE_EXTRA_CA_CERTS=" + s.CAFile, "SRC=" + src, "ENDPOINT=" + endpoint, "PREFIX=" +
			u.Scheme}, "node", "upload.mjs")
		require.Contains(t, out, "refused: BadDigest", "a wrong Content-MD5")
		for name, b := range bodies() {
			for _, way := range []string{"put", "stream", "sha256", "crc32c", "upload"} {
				requireStored(t, s, u.Scheme+"/"+way+"/"+name, b)
			}
		}
	}
	understood(t, s)
}
