package web

import (
	"net/http"
	"sync"
	"time"
)

// leaks grow with the requests done, or with time.
func leaks() []Service {
	return []Service{
		{Name: "web-leak-request", Summary: "A trail keeps 2 KiB of every request.", new: func(c *client) http.HandlerFunc {
			t := &trail{}
			return func(w http.ResponseWriter, r *http.Request) {
				t.note()
				c.reply(w, r)
			}
		}},
		{Name: "ok-web-trail", Summary: "A trail keeps 2 KiB of each of the last hundred requests.",
			new: func(c *client) http.HandlerFunc {
				t := &trail{most: 100}
				return func(w http.ResponseWriter, r *http.Request) {
					t.noteBounded()
					c.reply(w, r)
				}
			}},
		{Name: "web-routine-request", Summary: "Every request leaves a goroutine that waits for ever.",
			new: func(c *client) http.HandlerFunc {
				never := make(chan struct{})
				return func(w http.ResponseWriter, r *http.Request) {
					waitForEver(never)
					c.reply(w, r)
				}
			}},
		{Name: "ok-web-routine", Summary: "Every request has a goroutine that ends with it.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					done := make(chan struct{})
					go func() { <-done }()
					defer close(done)
					c.reply(w, r)
				}
			}},
		{Name: "web-body-unread", Summary: "The upstream's reply is not read and not closed.",
			new: func(c *client) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					if c.look(r) != http.StatusOK {
						w.WriteHeader(http.StatusBadGateway)
					}
				}
			}},
		{Name: "web-timer", Summary: "A ticker keeps 4 KiB every 20 ms, whatever the requests.",
			new: func(c *client) http.HandlerFunc {
				t := &trail{}
				go t.tick(false)
				return c.reply
			}},
		{Name: "ok-web-timer", Summary: "A ticker replaces 4 KiB every 20 ms.", new: func(c *client) http.HandlerFunc {
			t := &trail{}
			go t.tick(true)
			return c.reply
		}},
		{Name: "ok-web-plain", Summary: "A service without a fault.",
			new: func(c *client) http.HandlerFunc { return c.reply }},
	}
}

// trail is what a service remembers of its requests.
type trail struct {
	mu      sync.Mutex
	entries [][]byte
	most    int
}

func (t *trail) note() {
	e := make([]byte, 2048) // fault:web-leak-request
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, e)
}

func (t *trail) noteBounded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = append(t.entries, make([]byte, 2048))
	if len(t.entries) > t.most {
		t.entries = append(t.entries[:0:0], t.entries[1:]...)
	}
}

// tick keeps something over and over again.
func (t *trail) tick(replace bool) {
	for range time.Tick(20 * time.Millisecond) {
		e := make([]byte, 4<<10) // fault:web-timer
		t.mu.Lock()
		if replace {
			t.entries = t.entries[:0]
		}
		t.entries = append(t.entries, e)
		t.mu.Unlock()
	}
}

//go:noinline
func waitForEver(never chan struct{}) {
	go func() { <-never }() // fault:web-routine-request
}

// look asks the upstream and forgets the reply's body.
func (c *client) look(r *http.Request) int {
	resp, err := c.http.Get(c.base + "/" + r.PathValue("key")) // fault:web-body-unread
	if err != nil {
		return 0
	}
	return resp.StatusCode
}
