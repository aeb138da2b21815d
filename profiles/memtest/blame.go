package memtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// creator is where a goroutine was started.
type creator struct {
	function string
	file     string
	line     int
}

func (c creator) String() string { return place(c.function, c.file, c.line) }

func place(function, file string, line int) string {
	return fmt.Sprintf("%s %s:%d", function, filepath.Base(file), line)
}

// mainModule is the path of the module under test: its packages may lack the dot that tells others from the standard
// library.
var mainModule = sync.OnceValue(func() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Path
	}
	return ""
})

// standard reports whether a function belongs to the standard library: by the go command's rule, the first element of
// such an import path has no dot.
func standard(function string) bool {
	if m := mainModule(); m != "" && (strings.HasPrefix(function, m+"/") || strings.HasPrefix(function, m+".") || strings.HasPrefix(function, m+"_test.")) {
		return false
	}
	first, _, slash := strings.Cut(function, "/")
	if !slash {
		first, _, _ = strings.Cut(first, ".")
		return first != "main"
	}
	return !strings.Contains(first, ".")
}

var self = func() string {
	pc, _, _, _ := runtime.Caller(0)
	name := runtime.FuncForPC(pc).Name() // github.com/memsoak/memsoak/profiles/memtest.init...
	return name[:strings.LastIndex(name, "/")] + "/memtest."
}()

func framesOf(key stackKey) []runtime.Frame {
	n := 0
	for n < len(key) && key[n] != 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	var out []runtime.Frame
	for it := runtime.CallersFrames(key[:n]); ; {
		f, more := it.Next()
		out = append(out, f)
		if !more {
			return out
		}
	}
}

// blame names the culprit of a stack: the first frame from the leaf outside the standard library, the leaf where there
// is none. mine says that it is this package's own bookkeeping.
func blame(frames []runtime.Frame) (site string, mine bool) {
	for _, f := range frames {
		if !standard(f.Function) {
			return place(f.Function, f.File, f.Line), strings.HasPrefix(f.Function, self)
		}
	}
	for _, f := range frames {
		if !strings.HasPrefix(f.Function, "runtime.") {
			return place(f.Function, f.File, f.Line), false
		}
	}
	return "runtime", true
}

// runtimeKeeps are allocations that the runtime never gives back but uses again: descriptors of goroutines and the table of
// them, of waits and threads, and each processor's table of timers. A timer that is never stopped is seen by itself.
var runtimeKeeps = map[string]bool{"runtime.newproc1": true, "runtime.acquireSudog": true, "runtime.allocm": true, "runtime.(*timers).addHeap": true}

func keptByRuntime(frames []runtime.Frame) bool {
	return slices.ContainsFunc(frames, func(f runtime.Frame) bool { return runtimeKeeps[f.Function] })
}

func describe(frames []runtime.Frame) []string {
	var out []string
	for _, f := range frames {
		if strings.HasPrefix(f.Function, self) {
			break // below here is the check itself
		}
		out = append(out, place(f.Function, f.File, f.Line))
	}
	return out
}

func (c config) ignores(frames []runtime.Frame) bool {
	for _, f := range frames {
		if c.ignoresName(f.Function) {
			return true
		}
	}
	return false
}

func (c config) ignoresName(function string) bool {
	for _, p := range c.ignored {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}

// createdBy matches the last two lines of a goroutine's dump.
var createdBy = regexp.MustCompile(`(?m)^created by (.+?)(?: in goroutine \d+)?\n\t(.+):(\d+)`)

// goroutines counts the running goroutines by where they were started. Those that nobody started (main) don't count.
func goroutines() map[creator]int64 {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	out := map[creator]int64{}
	for _, m := range createdBy.FindAllSubmatch(buf, -1) {
		line, err := strconv.Atoi(string(m[3]))
		if err != nil {
			continue
		}
		out[creator{string(m[1]), string(m[2]), line}]++
	}
	return out
}

// openSockets counts the process's open sockets where the kernel says (Linux); elsewhere it is 0.
func openSockets() int64 {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	var n int64
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
