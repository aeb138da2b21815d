package subject

import (
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/load"
)

var update = flag.Bool("update", false, "write the tables of soak/README.md again")

func names(list []Doc) []string {
	var out []string
	for _, d := range list {
		out = append(out, d.Name)
	}
	return out
}

// yamlKeys are the keys of a type and of what it consists of, below a prefix.
func yamlKeys(t reflect.Type, prefix string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			name = strings.ToLower(f.Name) // of a map that has its own reader
		}
		out = append(out, prefix+name)
		if f.Type != t && f.Type != reflect.PointerTo(t) {
			out = append(out, yamlKeys(f.Type, prefix+name+".")...)
		}
	}
	return out
}

func TestEveryKeyAndPlaceholderIsDocumented(t *testing.T) {
	documented := names(Keys)
	for _, k := range yamlKeys(reflect.TypeFor[Spec](), "") {
		known := slices.ContainsFunc(documented, func(d string) bool { return d == k || strings.HasPrefix(d, k+".") })
		assert.True(t, known, "no meaning of the key %s", k)
	}
	all := yamlKeys(reflect.TypeFor[Spec](), "")
	for _, d := range documented {
		assert.Contains(t, all, d, "a key that is not read")
	}
	assert.ElementsMatch(t, Builtin, names(PlaceholderDocs))
	for placeholder, variable := range load.CommandEnv {
		if i := slices.Index(names(PlaceholderDocs), placeholder); i >= 0 && placeholder != "addr" {
			assert.Contains(t, PlaceholderDocs[i].Meaning, variable)
		}
	}
}

// TestTheTablesOfTheReadmeAreCurrent compares them with the code; -update writes them.
func TestTheTablesOfTheReadmeAreCurrent(t *testing.T) {
	const file, begin, end = "../../README.md", "<!-- keys: written by go test ./soak/internal/subject -update -->\n",
		"<!-- keys: end -->\n"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok)
	shown, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+begin+Table()+end+after), 0o644))
		return
	}
	assert.Equal(t, Table(), shown, "write it again with -update")
}

func TestTheSubjectsOfTheReadmeAreValid(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, tasks, ok := strings.Cut(string(text), "## By task\n")
	require.True(t, ok)
	parsed := 0
	for _, block := range strings.Split(tasks, "```yaml\n")[1:] {
		yaml, _, _ := strings.Cut(block, "```")
		_, err := Parse([]byte(yaml))
		assert.NoError(t, err, "%s", yaml)
		parsed++
	}
	assert.GreaterOrEqual(t, parsed, 6)
}
