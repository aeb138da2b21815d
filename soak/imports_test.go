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
	{"memsoak/dashboards", nil},
	{"memsoak/fakedrive", []string{"memsoak/fakedrive"}},
	{"memsoak/migrator", []string{"memsoak/migrator"}},
	{"memsoak/profiles", []string{"memsoak/profiles"}},
	{"memsoak/soak", []string{"memsoak/soak", "memsoak/profiles", "memsoak/fakedrive/corpus", "memsoak/fakedrive/fault"}},
	{"memsoak/soak/exitcode", nil},
	{"memsoak/soak/internal/command", []string{"memsoak/soak/exitcode"}},
	{"memsoak/soak/specimens", []string{"memsoak/soak/specimens", "memsoak/migrator", "memsoak/fakedrive/fault", "memsoak/soak/exitcode", "memsoak/soak/internal/command"}},
	{"memsoak/soak/replay", []string{"memsoak/soak/replay", "memsoak/migrator", "memsoak/soak/specimens/contract", "memsoak/soak/specimens/copier", "memsoak/soak/exitcode", "memsoak/soak/internal/command"}},
	{"memsoak/soak/replay/history", []string{"memsoak/soak/replay/history"}},
}

func below(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

func TestImportsKeepTheirDirection(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "memsoak/...")
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
		if !strings.HasPrefix(p.ImportPath, "memsoak/") {
			continue
		}
		require.GreaterOrEqual(t, best, 0, "no rule for package %s", p.ImportPath)
		for _, imp := range p.Imports {
			if below(imp, "memsoak") && !slices.ContainsFunc(rules[best].To, func(d string) bool { return below(imp, d) }) {
				t.Errorf("%s must not import %s", p.ImportPath, imp)
			}
		}
	}
	require.Greater(t, seen, 10, "go list found hardly any package")
}
