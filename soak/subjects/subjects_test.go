package subjects_test

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/subjects"
)

// TestASubjectNeedsNoFileOfACheckout: what its command reads is in it, so that it runs from a program that was
// installed.
func TestASubjectNeedsNoFileOfACheckout(t *testing.T) {
	script, err := os.ReadFile("broker.sh")
	require.NoError(t, err)
	attached := 0
	for _, name := range subjects.Names() {
		text, ok := subjects.Get(name)
		require.True(t, ok, name)
		var s struct {
			Command []string
			Files   map[string]string
		}
		require.NoError(t, yaml.Unmarshal(text, &s), name)
		assert.NotContains(t, string(text), `"@`, name)
		command := strings.Join(s.Command, " ")
		assert.NotContains(t, command, "examples/", name)
		if strings.Contains(command, "broker.sh") {
			attached++
			assert.Equal(t, string(script), s.Files["broker.sh"], name)
		}
	}
	assert.Equal(t, 5, attached)
}
