package subject

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const good = `
name: mine
command: ["bin/mine", "--listen={{.addr}}", "--workers={{.workers}}", "{{if eq .transport \"h2\"}}--http2{{end}}"]
pprof: "http://{{.addr}}/debug/pprof"
wave: {url: "http://{{.addr}}/run?root={{.root}}"}
settings: {workers: "3"}
`

func TestParse(t *testing.T) {
	s, err := Parse([]byte(good))
	require.NoError(t, err)
	assert.Equal(t, "POST", s.Wave.Method)
	assert.Equal(t, "workers", s.Concurrency)
	assert.Equal(t, []string{"addr", "root", "transport", "workers"}, s.Placeholders())
	assert.Equal(t, []string{"transport", "workers"}, s.SettingNames())
	one, err := Parse([]byte(strings.Replace(good, `wave: {url: "http://{{.addr}}/run?root={{.root}}"}`, "wave: exit", 1)))
	require.NoError(t, err)
	assert.True(t, one.Wave.Exit)
}

func TestWrongSubjectsAreRefusedWithTheReason(t *testing.T) {
	for want, change := range map[string][2]string{
		"it has no name": {"name: mine", "name: ''"},
		"it has no command": {`command: ["bin/mine", "--listen={{.addr}}", "--workers={{.workers}}", "{{if eq ` +
			`.transport \"h2\"}}--http2{{end}}"]`, ""},
		"it has no pprof":           {`pprof: "http://{{.addr}}/debug/pprof"`, ""},
		"is not a URL":              {`"http://{{.addr}}/debug/pprof"`, "nowhere"},
		"wave needs a url":          {`wave: {url: "http://{{.addr}}/run?root={{.root}}"}`, ""},
		"or the word exit, not":     {`wave: {url: "http://{{.addr}}/run?root={{.root}}"}`, "wave: once"},
		"unknown field":             {"settings:", "setings:"},
		"command[2]":                {"{{.workers}}", "{{.workers"},
		"is not the name of a file": {"settings:", "files: {../x: y}\nsettings:"},
		"has a slash or a space":    {"name: mine", "name: a b"},
	} {
		_, err := Parse([]byte(strings.Replace(good, change[0], change[1], 1)))
		require.ErrorIs(t, err, ErrInvalid, want)
		assert.ErrorContains(t, err, want)
	}
}

func TestExpandNamesWhatHasNoValue(t *testing.T) {
	v, err := Expand("a={{.a}}", map[string]string{"a": "1"})
	require.NoError(t, err)
	assert.Equal(t, "a=1", v)
	_, err = Expand("{{.a}}{{.b}}", map[string]string{"a": "1"})
	assert.EqualError(t, err, "{{.b}} has no value")
}

func TestALogKeepsItsBeginningAndItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := newBoundedLog(path, 100)
	require.NoError(t, err)
	for i := range 1000 {
		_, err := l.Write([]byte{byte('a' + i%26)})
		require.NoError(t, err)
	}
	assert.Equal(t, "jkl", l.Tail(3))
	require.NoError(t, l.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	text := string(b)
	assert.True(t, strings.HasPrefix(text, "abcdefgh"))
	assert.True(t, strings.HasSuffix(text, "jkl"))
	assert.Contains(t, text, "[... 800 bytes left out ...]")

	short, err := newBoundedLog(path, 100)
	require.NoError(t, err)
	_, err = short.Write([]byte(strings.Repeat("x", 150)))
	require.NoError(t, err)
	require.NoError(t, short.Close())
	b, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("x", 150), string(b), "nothing is left out, nothing comes twice")
}

func TestParseCPUs(t *testing.T) {
	n, err := ParseCPUs("0-2,5")
	require.NoError(t, err)
	assert.Equal(t, []int{0, 1, 2, 5}, n)
	for _, bad := range []string{"", "a", "3-1", "-1", "99999"} {
		_, err := ParseCPUs(bad)
		assert.Error(t, err, bad)
	}
}

func TestDescribeReadsTheBinary(t *testing.T) {
	d := Describe("me", os.Args[0])
	assert.NotEmpty(t, d.Go)
	assert.NotEmpty(t, d.BuildID)
	assert.Empty(t, Describe("sh", "/nowhere").Go)
}
