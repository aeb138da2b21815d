package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// module writes a module with one test file and goes there.
func module(t *testing.T, tests string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/a/m\n\ngo 1.24\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\n" + tests} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
}

func sum(args ...string) (code int, stdout, stderr string) {
	var out, errs strings.Builder
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestSkippedTestsAreNamedWithTheirReason(t *testing.T) {
	module(t, `
func TestA(t *testing.T) { t.Log("before"); t.Skip("SKIPPED: no broker") }
func TestB(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Skip("SKIPPED, no broker") }) }
func TestC(t *testing.T) { t.SkipNow() }
func TestD(t *testing.T) { t.Log("not worth a word") }
`)
	for range 2 { // from the cache as well
		code, out, errs := sum("./...")
		assert.Equal(t, 0, code, errs)
		assert.Contains(t, out, "ok  \texample.com/a/m")
		assert.Contains(t, out,
			"=== 3 tests were skipped:\n   2  no broker\n        m TestA\n        m TestB/sub\n   1  no reason given\n        "+
				"m TestC\n")
		assert.NotContains(t, out, "not worth")
	}
}

func TestAFailureSaysWhy(t *testing.T) {
	module(t, `
func TestA(t *testing.T) { t.Error("it broke") }
func TestB(t *testing.T) { t.Log("fine") }
`)
	code, out, _ := sum("./...")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "it broke")
	assert.Contains(t, out, "FAIL\texample.com/a/m")
	assert.NotContains(t, out, "fine")
	assert.NotContains(t, out, "skipped")
	assert.True(t, strings.HasSuffix(out, "=== failed:\n        m TestA\n        m\n"), out)
}

func TestAPanicAndABuildFailureAreShown(t *testing.T) {
	module(t, `func TestA(t *testing.T) { panic("boom") }`)
	code, out, _ := sum("./...")
	assert.Equal(t, 1, code)
	assert.Contains(t, out, "panic: boom")
	module(t, `func TestA(t *testing.T) { undefined() }`)
	code, out, errs := sum("./...")
	assert.NotEqual(t, 0, code)
	assert.Contains(t, out+errs, "undefined: undefined")
}
