package memtest

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// stackKey identifies an allocation's stack as the runtime records it, leaf first.
type stackKey = [32]uintptr

type counts struct{ bytes, objects int64 }

// floor is the memory at rest, with no operation running.
type floor struct {
	ops        int      // operations before it, those of the warm-up included
	sites      []counts // alive, by number of the site
	goroutines map[Line]int64
	sockets    int64
	stacks     int64 // bytes of all goroutines' stacks
}

// ledger numbers the allocation sites, so that floors stay small.
type ledger struct {
	number  map[stackKey]int
	keys    []stackKey
	records []runtime.MemProfileRecord
}

func newLedger() *ledger { return &ledger{number: map[stackKey]int{}} }

func (l *ledger) floor(ops int) floor {
	collect()
	gs := goroutines()
	f := floor{ops: ops, goroutines: map[Line]int64{}, sockets: openSockets(),
		stacks: gauge("/memory/classes/heap/stacks:bytes")}
	for _, g := range gs {
		if g.creator.Function != "" {
			f.goroutines[g.creator]++
		}
	}
	l.read()
	f.sites = make([]counts, len(l.keys), len(l.keys)+64)
	for i := range l.records {
		r := &l.records[i]
		n, ok := l.number[r.Stack0]
		if !ok {
			n = len(l.keys)
			l.number[r.Stack0] = n
			l.keys = append(l.keys, r.Stack0)
			f.sites = append(f.sites, counts{})
		}
		f.sites[n].bytes += r.InUseBytes()
		f.sites[n].objects += r.InUseObjects()
	}
	return f
}

func (f floor) site(n int) counts {
	if n < len(f.sites) {
		return f.sites[n]
	}
	return counts{}
}

// read fills records, in the runtime's own order.
func (l *ledger) read() {
	n, _ := runtime.MemProfile(nil, true)
	for {
		if cap(l.records) < n+64 {
			l.records = make([]runtime.MemProfileRecord, n+256)
		}
		l.records = l.records[:cap(l.records)]
		var ok bool
		if n, ok = runtime.MemProfile(l.records, true); ok {
			l.records = l.records[:n]
			return
		}
	}
}

// collect frees what can be freed. Two collections empty sync.Pools and queue finalizers, the third frees what those
// let go; a collection also publishes the profile of the cycle it ends.
func collect() {
	runtime.GC()
	awaitFinalizers()
	runtime.GC()
}

// awaitFinalizers waits until finalizers that are queued have run, by one of its own, for 100 ms at most; it collects
// once.
func awaitFinalizers() {
	var ran atomic.Bool
	runtime.SetFinalizer(&struct{ p *int }{new(int)}, func(any) { ran.Store(true) })
	runtime.GC()
	for i := 0; i < 100 && !ran.Load(); i++ {
		time.Sleep(time.Duration(min(i, 10)) * 100 * time.Microsecond)
	}
}

func framesOf(pcs []uintptr) stack {
	n := 0
	for n < len(pcs) && pcs[n] != 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	var out stack
	for it := runtime.CallersFrames(pcs[:n]); ; {
		f, more := it.Next()
		out = append(out, f)
		if !more {
			return out
		}
	}
}

// goroutine is one block of the runtime's dump of all goroutines.
type goroutine struct {
	state   string // "chan receive", "IO wait"
	frames  []Line // leaf first
	creator Line   // the go statement; zero for the main goroutine
}

func goroutines() []goroutine {
	buf := make([]byte, 256<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return parseGoroutines(buf[:n])
		}
		buf = make([]byte, 2*len(buf))
	}
}

func parseGoroutines(dump []byte) []goroutine {
	var out []goroutine
	for _, block := range bytes.Split(dump, []byte("\n\n")) {
		lines := strings.Split(strings.TrimSpace(string(block)), "\n")
		if !strings.HasPrefix(lines[0], "goroutine ") {
			continue
		}
		var g goroutine
		if _, rest, ok := strings.Cut(lines[0], "["); ok {
			state, _, _ := strings.Cut(rest, "]")
			g.state, _, _ = strings.Cut(state, ",")
		}
		for i := 1; i+1 < len(lines); i += 2 {
			name, created := strings.CutPrefix(lines[i], "created by ")
			if strings.HasPrefix(name, "...") { // frames left out: one line alone
				i--
				continue
			}
			l := Line{File: lines[i+1]}
			l.File, l.Number = filePosition(lines[i+1])
			if created {
				l.Function, _, _ = strings.Cut(name, " in goroutine ")
				g.creator = l
				break
			}
			l.Function = name[:max(0, strings.LastIndex(name, "("))]
			g.frames = append(g.frames, l)
		}
		out = append(out, g)
	}
	return out
}

// filePosition reads "\t/path/file.go:12 +0x1d".
func filePosition(s string) (file string, line int) {
	s = strings.TrimSpace(s)
	if i := strings.LastIndex(s, " +0x"); i > 0 {
		s = s[:i]
	}
	i := strings.LastIndex(s, ":")
	if i < 0 {
		return s, 0
	}
	line, err := strconv.Atoi(s[i+1:])
	if err != nil {
		return s, 0
	}
	return s[:i], line
}

// openSockets counts the process's open sockets where the kernel says (Linux), and is -1 elsewhere.
func openSockets() int64 {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	var n int64
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func gauge(name string) int64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}

// heapInUse is live objects and garbage that is not swept yet.
func heapInUse() int64 { return gauge("/memory/classes/heap/objects:bytes") }
