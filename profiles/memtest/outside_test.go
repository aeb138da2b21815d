package memtest_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// outside is a module of another author: a library of a third one beside it, an internal package, tests in package
// x_test. MOD is its path, LIB the path of the library.
var outside = map[string]string{
	"go.mod": `module MOD

go 1.23

require (
	LIB v0.0.0
	github.com/memsoak/memsoak/profiles/memtest v0.0.0
)

replace LIB => ./libsource
replace github.com/memsoak/memsoak/profiles/memtest => MEMTEST
`,
	"libsource/go.mod": "module LIB\n\ngo 1.23\n",
	"libsource/lib.go": `package lib

import "net"

var kept [][]byte

func Keep() { kept = append(kept, make([]byte, 500)) }

func Start() {
	never := make(chan int)
	b := make([]byte, 300)
	go func() { <-never; b[0] = 1 }()
}

func Dial(addr string) (net.Conn, error) { return net.Dial("tcp", addr) }

var names = map[string]*[40]byte{}

func Register(name string) { names[name] = new([40]byte) }

var work = make(chan func())

func init() {
	go func() {
		for f := range work {
			f()
		}
	}()
}

//go:noinline
func Queue() {
	done := make(chan int)
	work <- func() { kept = append(kept, make([]byte, 400)); close(done) }
	<-done
}
`,
	"internal/deep/deep.go": `package deep

import "LIB"

func Keep() { lib.Keep() }
`,
	"internal/deep/deep_test.go": `package deep_test

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"LIB"
	"MOD/internal/deep"

	"github.com/memsoak/memsoak/profiles/memtest"
)

var sink []byte

func TestHealthy(t *testing.T) {
	memtest.Check(t, func() { sink = make([]byte, 100) }, memtest.Waves(4, 20))
}

func TestLeak(t *testing.T) {
	memtest.Check(t, func() {
		deep.Keep() // leak
	}, memtest.Waves(4, 20))
}

func TestGoroutine(t *testing.T) {
	memtest.Check(t, func() {
		lib.Start() // goroutine
	}, memtest.Waves(4, 20))
}

func TestRegistered(t *testing.T) {
	n := 0
	memtest.Check(t, func() {
		n++
		name := fmt.Sprintf("a name of some length %d", n)
		lib.Register(name) // registered
	}, memtest.Waves(4, 20))
}

func TestQueued(t *testing.T) {
	memtest.Check(t, func() {
		lib.Queue() // queued
	}, memtest.Waves(4, 20))
}

func TestConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	var mu sync.Mutex
	var open []net.Conn
	memtest.Check(t, func() {
		c, err := lib.Dial(l.Addr().String()) // connection
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		open = append(open, c)
		mu.Unlock()
	}, memtest.Waves(4, 5))
}
`,
}

// module writes files to a directory, with the paths filled in.
func module(t *testing.T, files map[string]string, mod, lib string) string {
	t.Helper()
	dir := t.TempDir()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("MOD", mod, "LIB", lib, "MEMTEST", here)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(fill.Replace(text)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goRun runs the go command in a module, away from the network.
func goRun(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestModulesOfOthers(t *testing.T) {
	variations := []struct {
		name, mod, lib string
		vendored       bool
		flags          []string
	}{
		{"no dot", "mt", "corp/lib", false, nil},
		{"dot", "example.com/mt", "example.org/lib", false, nil},
		{"no dot, trimmed", "mt", "corp/lib", false, []string{"-trimpath"}},
		{"no dot, vendored", "mt", "corp/lib", true, []string{"-mod=vendor"}},
		{"dot, vendored, trimmed", "example.com/mt", "example.org/lib", true, []string{"-mod=vendor", "-trimpath"}},
		{"no dot, vendored, trimmed", "mt", "corp/lib", true, []string{"-mod=vendor", "-trimpath"}},
		{"dot, race", "example.com/mt", "example.org/lib", false, []string{"-race"}},
	}
	for i, v := range variations {
		t.Run(v.name, func(t *testing.T) {
			if testing.Short() && i > 0 {
				t.Skip("short: the first variation only")
			}
			dir := module(t, outside, v.mod, v.lib)
			if v.vendored {
				if out, err := goRun(t, dir, "mod", "vendor"); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			args := append([]string{"test", "-count=1", "-v"}, v.flags...)
			out, _ := goRun(t, dir, append(args, "./internal/deep")...)
			if strings.Contains(out, "-race requires cgo") || strings.Contains(out, "C compiler") {
				t.Skip("no race detector: it needs cgo and a C compiler")
			}
			judgeOutside(t, out, v.mod)
		})
	}
}

// judgeOutside compares what the outside module's tests print with what its operations do.
func judgeOutside(t *testing.T, out, mod string) {
	t.Helper()
	for _, want := range []struct{ test, result, headline, line string }{
		{"TestHealthy", "PASS", "", ""},
		{"TestLeak", "FAIL", `in 1(\.\d+)? objects retained per operation .* allocated at \S*/lib\.Keep lib\S*/lib.go:7`,
			"deep.Keep deep/deep.go:5"},
		{"TestGoroutine", "FAIL", `1 goroutines left per operation .* started at \S*/lib\.Start lib\S*/lib.go:12`,
			"deep_test.go:" + marker(t, "goroutine")},
		{"TestRegistered", "FAIL", `in 2(\.\d+)? objects retained per operation .* allocated at \S*/lib\.Register `,
			"deep_test.go:" + marker(t, "registered")},
		{"TestQueued", "FAIL", `retained per operation .* allocated at \S*/lib\.Queue\S* `, "deep_test.go:" + marker(t,
			"queued")},
		{"TestConnection", "FAIL", `1 connections left open per operation .* opened at \S*TestConnection`, "deep_test.go:" +
			marker(t, "connection")},
	} {
		from := strings.Index(out, "=== RUN   "+want.test+"\n")
		end := strings.Index(out, "--- "+want.result+": "+want.test+" ")
		if from < 0 || end < from {
			t.Errorf("%s: want %s:\n%s", want.test, want.result, out)
			continue
		}
		text := out[from:end]
		findings := strings.Count(text, "memtest: ")
		if want.headline == "" {
			if findings > 0 {
				t.Errorf("a healthy test has findings:\n%s", text)
			}
			continue
		}
		if findings != 1 || !regexp.MustCompile(want.headline).MatchString(text) || !strings.Contains(text, want.line) {
			t.Errorf("%s of %s: want one finding %s, and the line %s:\n%s", want.test, mod, want.headline, want.line, text)
		}
	}
}

// marker is the number of the line that ends in a comment.
func marker(t *testing.T, comment string) string {
	t.Helper()
	for i, line := range strings.Split(outside["internal/deep/deep_test.go"], "\n") {
		if strings.HasSuffix(line, "// "+comment) {
			return fmt.Sprint(i + 1)
		}
	}
	t.Fatalf("no line ends in %q", comment)
	return ""
}

// A user's build is as it was, and has one module more.
func TestRequiringTheModuleAddsOneModule(t *testing.T) {
	lines := func(files map[string]string) int {
		out, err := goRun(t, module(t, files, "example.com/mt", ""), "list", "-m", "all")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.Count(out, "\n")
	}
	without := map[string]string{"go.mod": "module MOD\n\ngo 1.23\n"}
	with := map[string]string{"go.mod": "module MOD\n\ngo 1.23\n\n" +
		"require github.com/memsoak/memsoak/profiles/memtest v0.0.0\n\n" +
		"replace github.com/memsoak/memsoak/profiles/memtest => MEMTEST\n"}
	if got := lines(with) - lines(without); got != 1 {
		t.Errorf("%d modules more, want 1", got)
	}
	text, err := os.ReadFile("go.mod")
	if err != nil || bytes.Contains(text, []byte("require")) {
		t.Errorf("the module requires others: %v\n%s", err, text)
	}
}

const mainTest = `package mt

import (
	"testing"

	"github.com/memsoak/memsoak/profiles/memtest"
)

var kept [][]byte
var runs int

func TestMain(m *testing.M) { memtest.VerifyTestMain(m) }

func TestWork(t *testing.T) { runs++; BODY }

func TestChecked(t *testing.T) { memtest.Check(t, func() {}) }
`

func TestVerifyTestMainJudgesThePackage(t *testing.T) {
	for _, c := range []struct {
		name, body string
		pass       bool
		says       []string
	}{
		{"healthy", "_ = kept", true, nil},
		{"leaking", "kept = append(kept, make([]byte, 100_000))", false, []string{"104 KiB", "per run", "mt.TestWork"}},
		{"goroutine", "go func() { select {} }()", false, []string{"1 goroutines left per run", "mt.TestWork"}},
		{"not repeatable", "if runs > 1 { t.Fatal(runs) }", false, []string{"no verdict", "IgnoreHeap"}},
		{"failing", "t.Fatal(runs)", false, []string{"--- FAIL: TestWork"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := module(t, map[string]string{
				"go.mod": "module MOD\n\ngo 1.23\n\n" +
					"require github.com/memsoak/memsoak/profiles/memtest v0.0.0\n\n" +
					"replace github.com/memsoak/memsoak/profiles/memtest => MEMTEST\n",
				"mt.go": "package mt\n", "mt_test.go": strings.Replace(mainTest, "BODY", c.body, 1),
			}, "mt", "")
			out, err := goRun(t, dir, "test", "-count=1", ".")
			if (err == nil) != c.pass {
				t.Errorf("pass: want %v:\n%s", c.pass, out)
			}
			for _, s := range c.says {
				contains(t, out, s)
			}
			if n := strings.Count(out, "memtest: "); c.pass && n > 0 || n > 1 {
				t.Errorf("want one line at most, got %d:\n%s", n, out)
			}
		})
	}
}
