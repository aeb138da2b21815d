package web

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"runtime"
	"sync"
)

// computes call no upstream, so that nothing of them can be held there.
func computes() []Service {
	return []Service{
		{Name: "ok-web-compute", Summary: "A service that calls nothing: it computes and answers.",
			new: func(*client) http.HandlerFunc { return computed(func(*http.Request) {}) }},
		{Name: "web-compute-leak", Summary: "A trail keeps 2 KiB of every request of a service that calls nothing.",
			new: func(*client) http.HandlerFunc {
				var mu sync.Mutex
				var kept [][]byte
				return computed(func(*http.Request) {
					e := keptEntry()
					mu.Lock()
					defer mu.Unlock()
					kept = append(kept, e)
				})
			}},
		{Name: "web-compute-key", Summary: "A table has 1 KiB for every key that a service that calls nothing was asked for.",
			new: func(*client) http.HandlerFunc {
				var kept sync.Map
				return computed(func(r *http.Request) {
					if key := r.PathValue("key"); !has(&kept, key) {
						kept.Store(key, keptRow())
					}
				})
			}},
		{Name: "web-compute-buffer",
			Summary: "Every request in flight has a buffer of 512 KiB, of a service that calls nothing.",
			new: func(*client) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					b := computeScratch()
					fmt.Fprintf(w, "%x\n", compute())
					b[0]++
				}
			}},
		{Name: "web-compute-queue",
			Summary: "Requests are answered and computed afterwards, with 16 KiB each, without a bound.",
			new: func(c *client) http.HandlerFunc {
				slots := make(chan struct{}, c.workers)
				return func(w http.ResponseWriter, _ *http.Request) {
					computeLater(slots)
					w.WriteHeader(http.StatusAccepted)
				}
			}},
	}
}

func has(m *sync.Map, key string) bool {
	_, ok := m.Load(key)
	return ok
}

// computed answers with what it computes, after a look at the request.
func computed(look func(*http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		look(r)
		fmt.Fprintf(w, "%x\n", compute())
	}
}

// compute takes some milliseconds, in turns with what else there is to do.
func compute() (sum [sha256.Size]byte) {
	var block [8 << 10]byte
	for range 100 {
		copy(block[:], sum[:])
		sum = sha256.Sum256(block[:])
		runtime.Gosched()
	}
	return sum
}

//go:noinline
func keptEntry() []byte {
	return make([]byte, 2048) // fault:web-compute-leak
}

//go:noinline
func keptRow() []byte {
	return make([]byte, 1024) // fault:web-compute-key
}

//go:noinline
func computeScratch() []byte {
	return make([]byte, 512<<10) // fault:web-compute-buffer
}

//go:noinline
func computeLater(slots chan struct{}) {
	payload := make([]byte, 16<<10) // fault:web-compute-queue
	go func() {
		slots <- struct{}{}
		defer func() { <-slots }()
		sum := compute()
		copy(payload, sum[:])
	}()
}
