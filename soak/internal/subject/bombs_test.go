package subject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/bounded"
)

// TestTemplatesCannotRunForLong: a template of a few bytes must not cost a runner its time or its memory.
func TestTemplatesCannotRunForLong(t *testing.T) {
	for _, bomb := range []string{"{{range 1000000000000}}{{end}}", `{{printf "%999999999d" 1}}`} {
		_, err := Parse([]byte(strings.Replace(envSpec, `"x{{.dir}}"`, "'"+bomb+"'", 1)))
		require.ErrorIs(t, err, ErrInvalid, bomb)
		_, err = Expand(bomb, nil)
		require.ErrorIs(t, err, bounded.ErrTemplate, bomb)
	}
	_, err := Expand(strings.Repeat("{{.x}}", 1000), map[string]string{"x": strings.Repeat("x", 10<<10)})
	require.ErrorIs(t, err, bounded.ErrTooLarge)
	_, err = Parse([]byte("name: " + strings.Repeat("[", 30_000)))
	require.ErrorIs(t, err, bounded.ErrTooLarge)
}
