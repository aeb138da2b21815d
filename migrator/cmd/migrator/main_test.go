package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the table of settings in the README")

// table is the README's table of settings, made of the flags.
func table() string {
	s := newSettings()
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.addSides(f)
	s.addWork(f)
	var b strings.Builder
	b.WriteString("| flag and YAML key | default | meaning |\n|---|---|---|\n")
	f.VisitAll(func(fl *pflag.Flag) {
		def := fl.DefValue
		if def == "[]" {
			def = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", fl.Name, def, strings.ReplaceAll(fl.Usage, "|", "\\|"))
	})
	return b.String()
}

// TestReadmeHasEverySetting keeps the README's table what the flags are; -update rewrites it.
func TestReadmeHasEverySetting(t *testing.T) {
	const begin, end = "<!-- settings -->\n", "<!-- /settings -->"
	path := filepath.Join("..", "..", "README.md")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(b), begin)
	require.True(t, ok)
	have, tail, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(head+begin+table()+end+tail), 0o644))
		return
	}
	assert.Equal(t, table(), have, "go test ./migrator/cmd/migrator -update")
}

func commandLine(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = run(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestBadInputIsOneLine(t *testing.T) {
	dir := t.TempDir()
	yaml := filepath.Join(dir, "bad.yaml")
	require.NoError(t, os.WriteFile(yaml, []byte("workers: 3\nfoo: bar\n"), 0o600))
	broken := filepath.Join(dir, "broken.yaml")
	require.NoError(t, os.WriteFile(broken, []byte("workers: [3\n"), 0o600))
	base := []string{"copy", "--drive-endpoint", "http://127.0.0.1:1", "--s3-endpoint", "http://127.0.0.1:1", "--bucket",
		"b", "--state-dir", dir}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"copy"}, 2, "accepts 1 arg(s)"},
		{[]string{"copy", "--bucket", "b", "--workers", "x", "root"}, 2, "--workers"},
		{append(base, "--workers", "0", "root"), 2, "--workers: want 1 to 10000"},
		{append(base, "--workers", "99999999999", "root"), 2, "--workers: want 1 to 10000"},
		{append(base, "--sse", "rot13", "root"), 2, "--sse: want AES256 or aws:kms"},
		{append(base, "--config", yaml, "root"), 2, "bad.yaml:2:1: unknown setting \"foo\""},
		{append(base, "--config", broken, "root"), 2, "broken.yaml"},
		{append(base, "--export", "document=exe", "root"), 2, "document=exe"},
		{append(base, "--include", "[", "root"), 2, "bad pattern"},
		{append(base, "--modified-after", "yesterday", "root"), 2, "yesterday"},
		{append(base, "--attempts", "1", "root"), 1, "connection refused"},
		{[]string{"copy", "--drive-endpoint", "nonsense", "--bucket", "b", "root"}, 2, "want http://host:port"},
		{[]string{"copy", "--drive-endpoint", "http://x:99999", "--bucket", "b", "root"}, 2, "want http://host:port"},
		{[]string{"copy", "--drive-endpoint", "http://x", "root"}, 2, "no bucket"},
		{[]string{"copy", "--drive-endpoint", "http://x", "--bucket", "../b", "root"}, 2, "letters, digits, dots"},
		{[]string{"copy", "--credentials-file", filepath.Join(dir, "none"), "--bucket", "b", "root"}, 2, "credentials"},
	} {
		code, _, errs := commandLine(c.args...)
		assert.Equal(t, c.code, code, "%v: %s", c.args, errs)
		assert.Contains(t, errs, c.want, "%v", c.args)
	}
}

func TestPrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(file,
		[]byte("workers: 3\npage-size: 30\nattempts: 3\ninclude: ['*.a', '*.b']\nread-buffer: 16KiB\n"), 0o600))
	t.Setenv("MIGRATOR_WORKERS", "4")
	t.Setenv("MIGRATOR_PAGE_SIZE", "40")
	o := &oneShot{settings: newSettings()}
	cmd := newRoot()
	o.addFlags(cmd)
	require.NoError(t, cmd.ParseFlags([]string{"--config", file, "--workers", "5"}))
	require.NoError(t, o.load(cmd))
	assert.Equal(t, []int{5, 40, 3, 16 << 10}, []int{o.copy.Workers, o.wire.PageSize, o.copy.Attempts, o.wire.ReadBuffer},
		"flag > environment > file")
	assert.Equal(t, []string{"*.a", "*.b"}, o.copy.Filter.Include)
}

func TestEveryCommandHelpsWithAnExample(t *testing.T) {
	for _, c := range newRoot().Commands() {
		assert.NotEmpty(t, c.Example, c.Name())
		code, out, _ := commandLine(c.Name(), "--help")
		assert.Zero(t, code)
		assert.Contains(t, out, "Examples:")
	}
}

func TestBandwidthLine(t *testing.T) {
	assert.Equal(t, "Bandwidth: 8.5 MB/s | Memory: 45.3 MB | Total: 0.5 GB transferred", bandwidthLine(8.5e6, 45_300_000,
		500_000_000))
}

func TestCgroupLimit(t *testing.T) {
	mount := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(mount, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	write("a/memory.max", "268435456\n")
	write("a/b/memory.max", "max\n")
	assert.Equal(t, int64(256<<20), cgroupLimit(mount, []byte("0::/a/b\n")), "a limit above holds below")
	write("memory/x/memory.limit_in_bytes", "67108864\n")
	write("memory/memory.limit_in_bytes", "9223372036854771712\n")
	assert.Equal(t, int64(64<<20), cgroupLimit(mount, []byte("5:cpu,memory:/x\n1:name=systemd:/y\n")))
	assert.Zero(t, cgroupLimit(mount, []byte("0::/elsewhere\n")))
	assert.Equal(t, int64(40<<20), softLimit(64<<20))
	assert.Equal(t, int64(2<<30)-int64(2<<30)/10, softLimit(2<<30))
}

func TestHardLimit(t *testing.T) {
	limit, err := hardLimit("2147483648")
	require.NoError(t, err)
	assert.Equal(t, int64(2<<30), limit)
	for _, bad := range []string{"2Gi", "0", "-1"} {
		_, err := hardLimit(bad)
		assert.ErrorContains(t, err, "want a number of bytes", bad)
	}
}
