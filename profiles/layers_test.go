package profiles

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEachRoomOfTheDiagnosisImportsThoseAboveIt holds the list in the package's comment to the imports.
func TestEachRoomOfTheDiagnosisImportsThoseAboveIt(t *testing.T) {
	const below = "github.com/memsoak/memsoak/profiles/"
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var rooms []string
	for _, m := range regexp.MustCompile(`(?m)^//\t((?:[\w/]+, )*[\w/]+)`).FindAllStringSubmatch(string(text), -1) {
		rooms = append(rooms, strings.Split(m[1], ", ")...)
	}
	require.Greater(t, len(rooms), 12)
	for at, room := range append(rooms, ".") {
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(room), "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, "%s is no folder with code", room)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, spec := range parsed.Imports {
				path, err := strconv.Unquote(spec.Path.Value)
				require.NoError(t, err)
				to, ours := strings.CutPrefix(path, below)
				above := func(r string) bool { return to == r || strings.HasPrefix(to, r+"/") }
				assert.True(t, !ours || slices.ContainsFunc(rooms[:at], above) || strings.HasPrefix(to, room+"/"),
					"%s imports %s, which isn't above it", f, to)
			}
		}
	}
}
