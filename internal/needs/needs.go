// Package needs finds the programs that tests use as real counterparts: brokers, Prometheus, a browser. A test that
// needs one asks here, and so depends on no other test and on no step before it: the program is there, or root installs
// its package, or the test skips and names it.
//
// It is for tests and benchmarks. No command that users run installs anything.
package needs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// ErrMissing is returned, wrapped with the name and the reason, for a program that is not here and could not be
// installed.
var ErrMissing = errors.New("is missing")

// Program is a row of the table of programs.
type Program struct {
	Name string
	// Names are other names of the same program.
	Names []string
	// Paths are patterns of places beside PATH. They come first: what PATH has may be a wrapper.
	Paths []string
	// Package is the Debian package that has it, or several with spaces between them.
	Package string
	// Builds says that the toolchain uses it: hiding it would change how all is built.
	Builds bool
}

// Programs are all that tests ask for.
var Programs = []Program{
	{Name: "redis-server", Package: "redis-server"},
	// The package's command on PATH changes the user; this is the script behind it.
	{Name: "rabbitmq-server", Package: "rabbitmq-server",
		Paths: []string{"/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server",
			"/usr/sbin/rabbitmq-server"}},
	{Name: "prometheus", Package: "prometheus"},
	{Name: "promtool", Package: "prometheus"},
	{Name: "chromium", Names: []string{"chromium-browser", "google-chrome"}, Package: "chromium"},
	{Name: "npm", Package: "npm"},
	{Name: "curl", Package: "curl"},
	// The race detector needs a C compiler.
	{Name: "cc", Names: []string{"gcc", "clang"}, Package: "gcc libc6-dev", Builds: true},
}

// Find returns the path of a program of the table: the one that NAME_BIN in the environment names, or one of this
// machine. Where it is missing and this user may, its package is installed. The error wraps ErrMissing.
func Find(ctx context.Context, name string) (string, error) {
	i := slices.IndexFunc(Programs, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return "", fmt.Errorf("needs: no program %q in the table", name)
	}
	if path := os.Getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_BIN"); path != "" {
		return exec.LookPath(path)
	}
	p := Programs[i]
	if found := p.All(); len(found) > 0 {
		return found[0], nil
	}
	there := func() bool { return len(p.All()) > 0 }
	if err := install(ctx, p.Package, there); err != nil {
		return "", fmt.Errorf("%s %w: %w", name, ErrMissing, err)
	}
	return p.All()[0], nil
}

// All are the places where the program is, the best first.
func (p Program) All() (found []string) {
	for _, pattern := range p.Paths {
		paths, _ := filepath.Glob(pattern) // the patterns are constants
		for _, path := range slices.Backward(paths) {
			if path, err := exec.LookPath(path); err == nil {
				found = append(found, path)
			}
		}
	}
	for _, name := range append([]string{p.Name}, p.Names...) {
		if path, err := exec.LookPath(name); err == nil && !slices.Contains(found, path) {
			found = append(found, path)
		}
	}
	return found
}

// Get returns the path of a program of the table, or skips the test by its name.
func Get(t testing.TB, name string) string {
	t.Helper()
	path, err := Find(context.WithoutCancel(t.Context()), name)
	Skip(t, err)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Skip skips the test if err says that a program is missing.
func Skip(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) {
		t.Skip("SKIPPED: ", err)
	}
}

// dir is where attempts are noted.
func dir() string {
	if d, err := os.UserCacheDir(); err == nil {
		return filepath.Join(d, "memsoak", "needs")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("memsoak-needs-%d", os.Getuid()))
}

// againAfter is for how long a failed installation is not tried again: each test of each package would wait for it.
const againAfter = 10 * time.Minute
