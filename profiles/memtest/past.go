package memtest

import (
	"fmt"
	"runtime"
	"sync"
)

// past is what checks said in the first run of VerifyTestMain. When the tests run again, a check runs its operation one
// time and says the same: it can't measure inside another measurement.
var past history

type history struct {
	mu        sync.Mutex
	recording bool
	repeating bool
	said      map[string][]saying
	next      map[string]int
}

// saying is what one check said.
type saying struct {
	report *Report
	errors []string
}

func (h *history) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recording, h.said, h.next = true, map[string][]saying{}, map[string]int{}
}

func (h *history) repeat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.recording, h.repeating = false, true
}

// check returns the report of the same call in the first run, whose failures it repeats. In the first run it returns
// what remembers the call.
func (h *history) check(t TestingT) (_ TestingT, remember func(*Report), before *Report) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	key := callOf(t)
	switch {
	case h.recording:
		w := &witness{TestingT: t}
		return w, func(r *Report) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.said[key] = append(h.said[key], saying{r, w.errors})
		}, nil
	case h.repeating:
		said := h.said[key]
		if len(said) == 0 {
			return t, nil, &Report{}
		}
		s := said[h.next[key]%len(said)]
		h.next[key]++
		for _, e := range s.errors {
			t.Errorf("%s", e)
		}
		return t, nil, s.report
	}
	return t, func(*Report) {}, nil
}

// callOf names the test and the line that calls Check.
func callOf(t TestingT) string {
	name := ""
	if n, ok := t.(interface{ Name() string }); ok {
		name = n.Name()
	}
	_, file, line, _ := runtime.Caller(3)
	return fmt.Sprintf("%s %s:%d", name, file, line)
}

// witness keeps what a check says.
type witness struct {
	TestingT
	errors []string
}

func (w *witness) Errorf(format string, args ...any) {
	w.TestingT.Helper()
	w.errors = append(w.errors, fmt.Sprintf(format, args...))
	w.TestingT.Errorf(format, args...)
}
