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

// module is this module's path.
const module = "github.com/memsoak/memsoak"

// rules are the directions of imports: a package below From may import, of this module, only packages below To, and the
// leaves of internal/, which import only each other; "=x" is the package x without packages below it. The longest From
// that fits a package counts.
var rules = []struct {
	From string
	To   []string
}{
	{"internal", nil},
	{"dashboards", nil},
	{"examples", nil},
	{"fakedrive", []string{"fakedrive"}},
	{"migrator", []string{"migrator"}},
	{"profiles", []string{"profiles"}},
	{"soak", []string{"soak", "profiles", "fakedrive/corpus", "fakedrive/fault"}},
	{"soak/specimens", []string{"soak/specimens", "migrator", "fakedrive/fault"}},
	{"soak/replay", []string{"soak/replay", "migrator", "soak/specimens/contract", "soak/specimens/copier"}},
	{"soak/replay/cmd", []string{"soak/replay", "profiles"}},
	{"soak/replay/study", []string{"soak/replay/history", "profiles", "=soak"}},
	{"soak/replay/history", []string{"soak/replay/history"}},
}

func below(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

func TestImportsKeepTheirDirection(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
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
		from, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		best := -1
		for i, r := range rules {
			if below(from, r.From) && (best < 0 || len(r.From) > len(rules[best].From)) {
				best = i
			}
		}
		require.GreaterOrEqual(t, best, 0, "no rule for package %s", from)
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module+"/")
			allowed := func(d string) bool {
				if one, exact := strings.CutPrefix(d, "="); exact {
					return to == one
				}
				return below(to, d)
			}
			if ours && !below(to, "internal") && !slices.ContainsFunc(rules[best].To, allowed) {
				t.Errorf("%s must not import %s", from, to)
			}
		}
	}
	require.Greater(t, seen, 10, "go list found hardly any package")
}
