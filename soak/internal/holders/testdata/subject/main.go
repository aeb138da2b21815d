// Command subject holds memory in the way that its argument names, says so, and waits for its end.
package main

import (
	"container/list"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// session is one thing that is held.
type session struct {
	id  int
	buf []byte
}

// store is a holder that is not a package variable.
type store struct {
	mu       sync.Mutex
	sessions map[string]*session
}

// server has its store at some distance, and no variable has the server but one of main's.
type server struct {
	name  string
	store *store
}

type cycle struct {
	other *cycle
	buf   []byte
}

var (
	registry = map[string]*session{}
	service  = &store{sessions: map[string]*session{}}
	shared   sync.Map
	queue    = make(chan []byte, 4096)
	hooks    []func() int
	recent   = list.New()
	anything any
	ifaces   []fmt.Stringer
	left     = map[string]*session{}
	right    = map[string]*session{}
)

const objects = 2000

var collect = true

//go:noinline
func allocate() []byte { return make([]byte, 4096) }

//go:noinline
func large() []byte { return make([]byte, 1<<20) }

//go:noinline
func newSession(i int) *session { return &session{id: i, buf: allocate()} }

func (s *session) String() string { return fmt.Sprint(s.id, len(s.buf)) }

// each has what it does done n times.
func each(do func(i int)) {
	for i := range objects {
		do(i)
	}
}

// wait never comes back.
func wait(ctx context.Context) { <-ctx.Done() }

//go:noinline
func keeper(ready chan<- bool) {
	var kept [][]byte
	each(func(int) { kept = append(kept, allocate()) })
	ready <- true
	wait(context.Background())
	runtime.KeepAlive(kept)
}

//go:noinline
func blocked(b []byte, ready chan<- bool, never chan int) {
	ready <- true
	never <- 1
	runtime.KeepAlive(b)
}

// worker has a buffer for as long as it lives.
type worker struct {
	name string
	buf  []byte
}

//go:noinline
func (w *worker) run(ready chan<- bool, never <-chan int) {
	ready <- true
	for n := range never {
		w.buf[0] += byte(n)
	}
}

// serve keeps what it is called on, as the servers of libraries do.
//
//go:noinline
func (s *server) serve(ready chan<- bool) {
	ready <- true
	wait(context.Background())
	runtime.KeepAlive(s)
}

var scenarios = map[string]func(){
	"map":       func() { each(func(i int) { registry[fmt.Sprint(i)] = newSession(i) }) },
	"pointer":   func() { each(func(i int) { service.sessions[fmt.Sprint(i)] = newSession(i) }) },
	"syncmap":   func() { each(func(i int) { shared.Store(i, newSession(i)) }) },
	"channel":   func() { each(func(int) { queue <- allocate() }) },
	"list":      func() { each(func(i int) { recent.PushBack(newSession(i)) }) },
	"interface": func() { each(func(i int) { ifaces = append(ifaces, newSession(i)) }) },
	"any": func() {
		m := map[int][]byte{}
		each(func(i int) { m[i] = allocate() })
		anything = m
	},
	"closure": func() {
		each(func(int) {
			b := allocate()
			hooks = append(hooks, func() int { return len(b) })
		})
	},
	"goroutine": func() {
		ready := make(chan bool)
		go keeper(ready)
		<-ready
	},
	"goroutines": func() {
		ready, never := make(chan bool), make(chan int)
		each(func(int) {
			go blocked(allocate(), ready, never)
			<-ready
		})
	},
	"context": func() {
		each(func(int) {
			b := allocate()
			ctx, cancel := context.WithCancel(background)
			context.AfterFunc(ctx, func() { b[0]++; cancel() })
		})
	},
	"server": func() {
		ready, s := make(chan bool), &server{store: &store{sessions: map[string]*session{}}}
		each(func(i int) { s.store.sessions[fmt.Sprint(i)] = newSession(i) })
		go s.serve(ready)
		<-ready
	},
	"workers": func() {
		ready, never := make(chan bool), make(chan int)
		for range 8 {
			go (&worker{buf: large()}).run(ready, never)
			<-ready
		}
	},
	"garbage": func() {
		collect = false
		debug.SetGCPercent(-1)
		each(func(i int) {
			registry[fmt.Sprint(i)] = newSession(i)
			if i >= objects/4 {
				delete(registry, fmt.Sprint(i-objects/4))
			}
		})
	},
	"timer": func() {
		each(func(int) {
			b := allocate()
			time.AfterFunc(time.Hour, func() { b[0]++ })
		})
	},
	"finalizer": func() {
		each(func(int) {
			a, b := &cycle{buf: allocate()}, &cycle{}
			a.other, b.other = b, a
			runtime.SetFinalizer(a, dispose)
			runtime.SetFinalizer(b, dispose)
		})
	},
	"finalizing": func() {
		ready := make(chan bool)
		runtime.SetFinalizer(&cycle{}, func(*cycle) { keeper(ready) })
		runtime.GC()
		<-ready
	},
	"two": func() {
		each(func(i int) {
			m := left
			if i%2 == 1 {
				m = right
			}
			m[fmt.Sprint(i)] = newSession(i)
		})
	},
	"both": func() {
		m := map[string]*session{}
		each(func(i int) { m[fmt.Sprint(i)] = newSession(i) })
		left, right = m, m
	},
}

var background, _ = context.WithCancel(context.Background())

func dispose(*cycle) {}

func main() {
	scenarios[os.Args[1]]()
	if collect {
		runtime.GC()
		runtime.GC()
	}
	runtime.MemProfile(nil, false) // without a mention of it the linker leaves the heap profiler out
	fmt.Println("ready")
	var b [1]byte
	_, _ = os.Stdin.Read(b[:]) // until the parent closes it
}
