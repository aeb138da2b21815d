package truth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

const source = `package leaks

func keep() {
	all = append(all, new(thing)) // fault:leak-x
}
`

// specimens writes a source file and truth files into a directory.
func specimens(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files["leaks/x.go"] = files["leaks/x.go"] + source
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return dir
}

const leakX = "summary: keeps\nheadline: leak\nclass: leak\nfunction: leaks.keep\nslope: {bytes: 64, per: [file]}\n"

func TestLoadFindsTheMarkedLine(t *testing.T) {
	dir := specimens(t, map[string]string{
		"truth/leak-x.yaml":          leakX,
		"truth/ok-x.yaml":            "summary: keeps nothing\nheadline: healthy\nlike: leak-x\n",
		"heldout2/truth/leak-h.yaml": strings.Replace(leakX, "slope", "marker: leak-x\nslope", 1),
		"truth/leak-x+leak-h.yaml":   "summary: both\nheadline: leak\nof: [leak-x, leak-h]\n",
		"leaks/x_test.go":            "// fault:leak-x\n",
		"heldout/truth/leak-o.yaml":  strings.Replace(leakX, "slope", "marker: leak-x\nslope", 1),
		"heldout/truth/readme.notes": "not a truth",
	})
	all, err := Load(dir)
	require.NoError(t, err)
	require.Len(t, all, 5)
	h, o, x, both, ok := all[0], all[1], all[2], all[3], all[4]
	assert.Equal(t, "leak-x", x.Name)
	assert.Equal(t, "leaks/x.go", x.File)
	assert.Equal(t, 4, x.Line)
	assert.Equal(t, "github.com/memsoak/memsoak/soak/specimens/leaks.keep", x.FullFunction())
	assert.Equal(t, record.Leak, x.Class)
	assert.Equal(t, 0.05, x.Slope.Tolerance())
	assert.True(t, h.HeldOut && h.Apart() && !h.Learned)
	assert.True(t, o.Learned && o.Apart() && !o.HeldOut)
	assert.False(t, x.Apart())
	assert.Equal(t, 4, h.Line)
	assert.True(t, both.Combination())
	assert.True(t, ok.Healthy())
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"no truth files":         {},
		"unknown field \"clas\"": {"truth/leak-x.yaml": strings.Replace(leakX, "class:", "clas:", 1)},
		"no summary":             {"truth/leak-x.yaml": strings.Replace(leakX, "summary: keeps\n", "", 1)},
		`headline "leaky"`: {"truth/leak-x.yaml": strings.Replace(leakX, "headline: leak",
			"headline: leaky", 1)},
		`class "leaky"`: {"truth/leak-x.yaml": strings.Replace(leakX, "class: leak", "class: leaky",
			1)},
		`unit "files"`:                        {"truth/leak-x.yaml": strings.Replace(leakX, "[file]", "[files]", 1)},
		"no marker fault:leak-y":              {"truth/leak-y.yaml": leakX},
		`no class, but headline "leak"`:       {"truth/ok-x.yaml": "summary: s\nheadline: leak\n"},
		`like "leak-z", which is not a fault`: {"truth/ok-x.yaml": "summary: s\nheadline: healthy\nlike: leak-z\n"},
		`"leak-z" is not a fault`:             {"truth/a+b.yaml": "summary: s\nheadline: leak\nof: [leak-z, leak-x]\n"},
		"marker fault:leak-x in":              {"truth/leak-x.yaml": leakX, "leaks/x.go": "// fault:leak-x\n"},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := Load(specimens(t, files))
			assert.ErrorContains(t, err, want)
		})
	}
}
