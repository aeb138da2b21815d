package web

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// stores keep something per key, or per request that waits.
func stores() []Service {
	return []Service{
		{Name: "web-leak-key", Summary: "A table has 1 KiB for every key that was ever asked for.",
			new: func(c *client) http.HandlerFunc {
				t := &table{m: map[string][]byte{}}
				return func(w http.ResponseWriter, r *http.Request) {
					t.put(r.PathValue("key"))
					c.reply(w, r)
				}
			}},
		{Name: "web-cache", Summary: "A cache keeps 4 KiB of each of at most three hundred keys.",
			new: func(c *client) http.HandlerFunc {
				t := &table{m: map[string][]byte{}, most: 300}
				return func(w http.ResponseWriter, r *http.Request) {
					t.cache(r.PathValue("key"))
					c.reply(w, r)
				}
			}},
		{Name: "web-queue", Summary: "Requests are answered and their work queued, one goroutine with 16 KiB each, " +
			"without a bound.",
			new: func(c *client) http.HandlerFunc {
				slots := make(chan struct{}, c.workers)
				return func(w http.ResponseWriter, r *http.Request) {
					c.enqueue(slots, r.PathValue("key"))
					w.WriteHeader(http.StatusAccepted)
				}
			}},
		{Name: "ok-web-queue", Summary: "Requests wait for one of a few slots before they are answered.",
			new: func(c *client) http.HandlerFunc {
				slots := make(chan struct{}, c.workers)
				return func(w http.ResponseWriter, r *http.Request) {
					slots <- struct{}{}
					defer func() { <-slots }()
					c.reply(w, r)
				}
			}},
	}
}

// table keeps something per key.
type table struct {
	mu   sync.Mutex
	m    map[string][]byte
	keys []string
	most int
}

func (t *table) put(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[key] == nil {
		t.m[key] = make([]byte, 1024) // fault:web-leak-key
	}
}

func (t *table) cache(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m[key] != nil {
		return
	}
	t.m[key] = make([]byte, 4<<10) // fault:web-cache
	t.keys = append(t.keys, key)
	if len(t.keys) > t.most {
		delete(t.m, t.keys[0])
		t.keys = append(t.keys[:0:0], t.keys[1:]...)
	}
}

// enqueue does a key's work after its request has been answered.
//
//go:noinline
func (c *client) enqueue(slots chan struct{}, key string) {
	payload := make([]byte, 16<<10) // fault:web-queue
	go func() {
		slots <- struct{}{}
		defer func() { <-slots }()
		if err := c.touch(context.Background(), key); err != nil {
			fmt.Println(err)
		}
		payload[0]++
	}()
}
