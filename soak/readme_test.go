package soak_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// block returns the first fenced block of a language in the README.
func block(t *testing.T, lang string) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	m := regexp.MustCompile("(?s)```" + lang + "\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, m, "README.md has no block of %s", lang)
	return string(m[1])
}

func TestTheReadmeListsEachSetting(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, table, there := strings.Cut(string(text), "| setting | value |")
	require.True(t, there)
	table, _, _ = strings.Cut(table, "\n\n")
	var listed []string
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \|`).FindAllStringSubmatch(table, -1) {
		for _, name := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(row[1], -1) {
			listed = append(listed, name[1])
		}
	}
	require.ElementsMatch(t, soak.SettingNames(&subject.Spec{}), listed)
}

// TestTheCommandsOfTheReadmeWork runs them in their order, with the README's own soak.yaml.
func TestTheCommandsOfTheReadmeWork(t *testing.T) {
	dir := files(t, testsubject.OK)
	require.NoError(t, os.Rename(filepath.Join(dir, "subject.yaml"), filepath.Join(dir, "my.yaml")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "soak.yaml"), []byte(block(t, "yaml")), 0o644))
	ran := 0
	for _, line := range strings.Split(strings.TrimSpace(block(t, "sh")), "\n") {
		require.True(t, strings.HasPrefix(line, "soak "), line)
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(soakPath)+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s\n%s", line, out)
		assert.NotEmpty(t, out, line)
		ran++
	}
	assert.Greater(t, ran, 5)
	for _, f := range []string{"run.json", "verdict.json", "report.html", "report.md"} {
		assert.FileExists(t, filepath.Join(dir, "results", f))
	}
}

func TestWrongUsageExitsWithTwoAndOneLine(t *testing.T) {
	dir := files(t, testsubject.OK)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.yaml"), []byte("subject: migrator\naxis: {}\n"), 0o644))
	for line, want := range map[string]string{
		"run --axis workres=1":                   `no setting "workres"`,
		"run --axis workers":                     "write name=value1,value2",
		"run --wrong":                            "unknown flag: --wrong",
		"run -f bad.yaml":                        "[2:1]",
		"run -f none.yaml":                       "no such file",
		"run --limit lots":                       `have "lots"`,
		"run --shard 3/2":                        "write i/n",
		"run --resume":                           "--resume needs --out",
		"run --upload ftp://x":                   "want s3://bucket/prefix",
		"run extra":                              "unexpected argument",
		"merge --out x nowhere":                  "no such file",
		"record --pprof nonsense":                "want http://host:port",
		"limit --step 0":                         "want 4KiB to",
		"subject check none.yaml":                "no such file",
		"subject show none":                      "no subject",
		"init -- ./none":                         "no such file",
		"run --url http://127.0.0.1:1 -- ./none": "no such file",
		"k8s -f none.yaml --image x --upload y":  "no such file",
	} {
		cmd := exec.Command(soakPath, strings.Fields(line)...)
		cmd.Dir = dir
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, line)
		assert.Equal(t, 2, exit.ExitCode(), "%s: %s", line, stderr.String())
		assert.Contains(t, stderr.String(), want, line)
	}
}
