package checkout_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/checkout"
)

// TestTheTableOfMinutesIsWhatRuns: the steps of .ci/run are those of .ci/README.md, in an hour together.
func TestTheTableOfMinutesIsWhatRuns(t *testing.T) {
	root, err := checkout.Root(t.Context())
	require.NoError(t, err)
	read := func(name, pattern string) (rows [][2]string) {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			rows = append(rows, [2]string{m[1], m[2]})
		}
		return rows
	}
	runs := read(".ci/run", `(?m)^ *step "([^"]+)" (\d+) `)
	assert.Equal(t, runs, read(".ci/README.md", `(?m)^\| ([^|]+) \| (\d+) \|`))
	sum := 0
	for _, r := range runs {
		n, err := strconv.Atoi(r[1])
		require.NoError(t, err)
		sum += n
	}
	assert.Len(t, runs, 7)
	assert.Less(t, sum, 60)
	assert.Equal(t, [][2]string{{"timeout-minutes", "90"}}, read(".github/workflows/ci.yml", `(timeout-minutes): (\d+)`))
}
