package gate

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type step struct {
	Name, ID, If, Uses, Run, Shell string
	With, Env                      map[string]any
}

type action struct {
	Inputs  map[string]struct{ Description, Default string }
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

func parse(t *testing.T, path string, to any) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(path)))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, to), path)
	return string(text)
}

// The action is checked as far as it can be without GitHub: it parses, its scripts are valid, every input that it reads
// exists and is read, and the comment is found again by the marker that the gate writes.
func TestTheActionHoldsTogether(t *testing.T) {
	var a action
	text := parse(t, ".github/actions/memsoak-gate/action.yml", &a)
	assert.Equal(t, "composite", a.Runs.Using)
	read := map[string]bool{}
	for _, m := range regexp.MustCompile(`inputs\.([a-z-]+)`).FindAllStringSubmatch(text, -1) {
		read[m[1]] = true
		assert.Contains(t, a.Inputs, m[1])
	}
	for name, in := range a.Inputs {
		assert.True(t, read[name], "input %s is never read", name)
		assert.NotEmpty(t, in.Description, name)
	}
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	for _, s := range a.Runs.Steps {
		require.Equal(t, "bash", s.Shell, s.Name)
		assert.NotContains(t, s.Run, "${{", "step %s: what a pull request may name goes through the environment", s.Name)
		check := exec.Command(bash, "-n")
		check.Stdin = strings.NewReader(s.Run)
		out, err := check.CombinedOutput()
		assert.NoError(t, err, "%s: %s", s.Name, out)
	}
	assert.Contains(t, text, `startswith("`+Marker+`")`)
}

func TestTheWorkflowUsesTheActionAsItIs(t *testing.T) {
	var a action
	parse(t, ".github/actions/memsoak-gate/action.yml", &a)
	var w struct {
		Permissions map[string]string
		Jobs        map[string]struct{ Steps []step }
	}
	parse(t, ".github/workflows/gate.yml", &w)
	assert.Equal(t, "write", w.Permissions["pull-requests"], "for the comment")
	assert.Equal(t, "write", w.Permissions["security-events"], "for SARIF")
	used := false
	for _, s := range w.Jobs["gate"].Steps {
		if s.Uses == "./.github/actions/memsoak-gate" {
			used = true
			for k := range s.With {
				assert.Contains(t, a.Inputs, k)
			}
		}
	}
	assert.True(t, used)
}

func TestTheReadmeListsEveryQuantity(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, n := range Names() {
		assert.Contains(t, string(text), "| `"+n[0]+"` | "+n[1]+" | "+n[2]+" |")
	}
	rows := regexp.MustCompile("(?m)^\\| `[a-z_]+` \\|").FindAllString(string(text), -1)
	assert.Len(t, rows, len(Names()), "no quantity that there isn't")
}
