package checkout_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/checkout"
)

// place is a directory like a stranger's: programs that were installed, and nothing of a checkout.
type place struct {
	t   *testing.T
	bin string
	env []string
}

// run runs a program in an empty directory.
func (p *place) run(name string, args ...string) (out string, code int) {
	p.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = p.t.TempDir()
	cmd.Env = append(os.Environ(), p.env...)
	b, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); !exited {
		require.NoError(p.t, err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// install packs the checkout into a proxy of files and installs the programs from it at @latest.
func install(t *testing.T, programs ...string) (p *place, module, version string) {
	t.Helper()
	root, err := checkout.Root(t.Context())
	require.NoError(t, err)
	proxy := t.TempDir()
	module, version, err = checkout.Pack(t.Context(), root, proxy)
	require.NoError(t, err)
	// The dependencies come from the cache that this test was built from, as a proxy would give them.
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	require.NoError(t, err)
	mods := strings.TrimSpace(string(cache))
	p = &place{t: t, bin: t.TempDir()}
	p.env = []string{"GOBIN=" + p.bin, "GOFLAGS=-modcacherw", "GOSUMDB=off", "GOWORK=off", "MEMSOAK_STATE_DIR=" +
		t.TempDir(),
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(mods, "cache", "download")}
	t.Cleanup(func() { // nothing of the version stays in the cache
		os.RemoveAll(filepath.Join(mods, filepath.FromSlash(module)+"@"+version))
		old, _ := filepath.Glob(filepath.Join(mods, "cache", "download", filepath.FromSlash(module), "@v", version+".*"))
		for _, f := range append(old, filepath.Join(mods, "cache", "download", filepath.FromSlash(module), "@v", "list")) {
			os.Remove(f)
		}
	})
	for _, pkg := range programs {
		out, code := p.run("go", "install", module+"/"+pkg+"@latest")
		require.Equal(t, 0, code, "%s", out)
	}
	return p, module, version
}

// TestStrangersInstallFromTheModuleAlone: all three programs at @latest, and a run with them from an empty directory.
func TestStrangersInstallFromTheModuleAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the three programs from a packed module")
	}
	p, module, version := install(t, "soak/cmd/soak", "migrator/cmd/migrator", "fakedrive/cmd/fakedrive")
	soak := filepath.Join(p.bin, "soak")
	for _, name := range []string{"soak", "migrator", "fakedrive"} {
		program := filepath.Join(p.bin, name)
		said, code := p.run(program, "version")
		assert.Equal(t, 0, code)
		flag, code := p.run(program, "--version")
		assert.Equal(t, 0, code)
		assert.Equal(t, said, flag)
		assert.True(t, strings.HasPrefix(said, name+" "+version+", go1."), said)
		for _, shell := range []string{"bash", "zsh", "fish"} {
			script, code := p.run(program, "completion", shell)
			assert.Equal(t, 0, code)
			assert.Contains(t, script, name)
		}
	}
	run := []string{"run", "--subject", "migrator", "--corpus", "tiny", "--protocol", "quick", "--axis", "workers=2",
		"--limit", "off"}
	out, code := p.run(soak, run...)
	require.Equal(t, 0, code, "%s", out)
	assert.Contains(t, out, "migrator: 1 cell, 1 trial")

	t.Run("a missing program is named with its installation", func(t *testing.T) {
		for name, pkg := range map[string]string{"migrator": "migrator/cmd/migrator",
			"fakedrive": "fakedrive/cmd/fakedrive"} {
			at := filepath.Join(p.bin, name)
			require.NoError(t, os.Rename(at, at+".away"))
			out, code := p.run(soak, run...)
			assert.NotEqual(t, 0, code)
			assert.Equal(t, 1, strings.Count(out, "\n"), out)
			assert.Contains(t, out, "the program "+name+" is missing: go install "+module+"/"+pkg+"@"+version)
			require.NoError(t, os.Rename(at+".away", at))
		}
	})
	t.Run("another version is refused", func(t *testing.T) {
		for _, name := range []string{"migrator", "fakedrive"} {
			at := filepath.Join(p.bin, name)
			require.NoError(t, os.Rename(at, at+".away"))
			build := exec.Command("go", "build", "-o", at, module+"/"+name+"/cmd/"+name) // of the checkout
			said, err := build.CombinedOutput()
			require.NoError(t, err, "%s", said)
			out, code := p.run(soak, run...)
			assert.NotEqual(t, 0, code)
			assert.Equal(t, 1, strings.Count(out, "\n"), out)
			assert.Contains(t, out, "another version")
			assert.Contains(t, out, "go install "+module+"/"+name+"/cmd/"+name+"@"+version)
			require.NoError(t, os.Rename(at+".away", at))
		}
	})
}

// TestTheMainModuleHasNoReplace: with one `go install ...@latest` refuses it.
func TestTheMainModuleHasNoReplace(t *testing.T) {
	root, err := checkout.Root(t.Context())
	require.NoError(t, err)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	for line := range strings.Lines(string(mod)) {
		word := strings.Fields(line + " .")[0]
		assert.NotContains(t, []string{"replace", "exclude"}, word, line)
	}
}
