package soak_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rules are the directions of imports: a package below From may import, of this module, only what is below To.
// The longest From that fits a package counts.
var rules = []struct {
	From string
	To   []string
}{
	{"github.com/memsoak/memsoak/dashboards", nil},
	{"github.com/memsoak/memsoak/fakedrive", []string{"github.com/memsoak/memsoak/fakedrive"}},
	{"github.com/memsoak/memsoak/migrator", []string{"github.com/memsoak/memsoak/migrator"}},
	{"github.com/memsoak/memsoak/profiles", []string{"github.com/memsoak/memsoak/profiles"}},
	{"github.com/memsoak/memsoak/soak", []string{"github.com/memsoak/memsoak/soak", "github.com/memsoak/memsoak/profiles", "github.com/memsoak/memsoak/fakedrive/corpus", "github.com/memsoak/memsoak/fakedrive/fault"}},
	{"github.com/memsoak/memsoak/soak/exitcode", nil},
	{"github.com/memsoak/memsoak/soak/internal/command", []string{"github.com/memsoak/memsoak/soak/exitcode"}},
	{"github.com/memsoak/memsoak/soak/specimens", []string{"github.com/memsoak/memsoak/soak/specimens", "github.com/memsoak/memsoak/migrator", "github.com/memsoak/memsoak/fakedrive/fault", "github.com/memsoak/memsoak/soak/exitcode", "github.com/memsoak/memsoak/soak/internal/command"}},
	{"github.com/memsoak/memsoak/soak/replay", []string{"github.com/memsoak/memsoak/soak/replay", "github.com/memsoak/memsoak/migrator", "github.com/memsoak/memsoak/soak/specimens/contract", "github.com/memsoak/memsoak/soak/specimens/copier", "github.com/memsoak/memsoak/soak/exitcode", "github.com/memsoak/memsoak/soak/internal/command"}},
	{"github.com/memsoak/memsoak/soak/replay/history", []string{"github.com/memsoak/memsoak/soak/replay/history"}},
}

func below(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

func TestImportsKeepTheirDirection(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "github.com/memsoak/memsoak/...")
	out, err := cmd.Output()
	require.NoError(t, err)
	seen := 0
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		seen++
		best := -1
		for i, r := range rules {
			if below(p.ImportPath, r.From) && (best < 0 || len(r.From) > len(rules[best].From)) {
				best = i
			}
		}
		if !strings.HasPrefix(p.ImportPath, "github.com/memsoak/memsoak/") {
			continue
		}
		require.GreaterOrEqual(t, best, 0, "no rule for package %s", p.ImportPath)
		for _, imp := range p.Imports {
			if below(imp, "github.com/memsoak/memsoak") && !slices.ContainsFunc(rules[best].To, func(d string) bool { return below(imp, d) }) {
				t.Errorf("%s must not import %s", p.ImportPath, imp)
			}
		}
	}
	require.Greater(t, seen, 10, "go list found hardly any package")
}
