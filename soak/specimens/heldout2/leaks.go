package heldout2

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/handy"
)

// journal has an entry for each stored file, to be written when the service ends.
type journal struct {
	mu      sync.Mutex
	entries []*entry
}

type entry struct {
	at   time.Time
	file copier.File
	note [1464]byte
}

func newJournal(*copier.Engine) copier.Hooks { return onDone(new(journal).write) }

func (j *journal) write(f copier.File) {
	e := newEntry(f)
	copy(e.note[:], "stored "+f.Name)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, e)
}

func newEntry(f copier.File) *entry {
	return &entry{at: time.Now(), file: f} // fault:leak-journal
}

// cursors keeps the head of each page, which is a slice of the window that the page was copied into.
type cursors struct {
	mu    sync.Mutex
	heads [][]byte
}

const (
	pageWindow = 32 << 10
	headSize   = 48
)

func newCursors(*copier.Engine) copier.Hooks { return copier.Hooks{Page: new(cursors).note} }

func (c *cursors) note(p *copier.Page) {
	window := make([]byte, pageWindow) // fault:leak-cursor
	n := copy(window, p.Raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heads = append(c.heads, window[:min(n, headSize)])
}

// lineKeys counts stored files by a key that is cut out of a line of its report.
type lineKeys struct {
	engine *copier.Engine
	mu     sync.Mutex
	line   [2048]byte
	seen   map[string]int
}

func newLineKeys(e *copier.Engine) copier.Hooks {
	l := &lineKeys{engine: e, seen: map[string]int{}}
	return onDone(l.count)
}

func (l *lineKeys) count(f copier.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.report(f)
	l.seen[line[:20]]++
}

// report writes the line: a number of twenty digits and the file's name.
func (l *lineKeys) report(f copier.File) string {
	clear(l.line[:])
	head := fmt.Appendf(l.line[:0], "%020d ", l.engine.Sequence())
	copy(l.line[len(head):], f.Name)
	return string(l.line[:]) // fault:leak-linekey
}

// receipt is what a reminder says.
type receipt struct {
	file copier.File
	text [4048]byte
}

func (r *receipt) remind() { clear(r.text[:]) }

// newReminders reminds of each stored file after half a day, and stops no reminder.
func newReminders(*copier.Engine) copier.Hooks { return onDone(remindLater) }

func remindLater(f copier.File) {
	r := newReceipt(f)
	time.AfterFunc(12*time.Hour, func() { r.remind() })
}

func newReceipt(f copier.File) *receipt {
	return &receipt{file: f} // fault:leak-reminder
}

// children gives each file a session below the service's context. The cancel function is stored and never called, so
// that the parent keeps each child.
type children struct {
	mu     sync.Mutex
	parent context.Context
	cancel context.CancelFunc
}

type session struct {
	file   copier.File
	cancel context.CancelFunc
	state  [1992]byte
}

type sessionKey struct{}

func newChildren(*copier.Engine) copier.Hooks {
	c := &children{}
	c.parent, c.cancel = context.WithCancel(context.Background())
	return onDone(c.open)
}

func (c *children) open(f copier.File) {
	s := newSession(f)
	child, cancel := context.WithCancel(context.WithValue(c.parent, sessionKey{}, s))
	s.cancel = cancel
	if child.Err() != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.cancel()
	}
}

func newSession(f copier.File) *session {
	return &session{file: f} // fault:leak-child
}

// overdue has the files whose check has to be repeated. Their turn comes a day later.
type overdue struct {
	mu      sync.Mutex
	pending []*retry
}

type retry struct {
	due  time.Time
	file copier.File
	plan [824]byte
}

func newOverdue(*copier.Engine) copier.Hooks {
	o := &overdue{}
	return onDone(func(f copier.File) {
		o.add(newRetry(f))
		o.drain(time.Now())
	})
}

func newRetry(f copier.File) *retry {
	return &retry{due: time.Now().Add(24 * time.Hour), file: f} // fault:leak-overdue
}

func (o *overdue) add(r *retry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, r)
}

// drain drops those whose turn has come. They are in the order of their turns.
func (o *overdue) drain(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.pending) && o.pending[n].due.Before(now) {
		n++
	}
	o.pending = o.pending[n:]
}

// logLines keeps the lines of a log for the page that shows them.
type logLines struct {
	engine *copier.Engine
	mu     sync.Mutex
	lines  []string
}

func newLogLines(e *copier.Engine) copier.Hooks { return onDone((&logLines{engine: e}).print) }

func (l *logLines) print(f copier.File) {
	line := l.format(f)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// format writes a line of 1,024 bytes, as a table's row is padded.
func (l *logLines) format(f copier.File) string {
	return fmt.Sprintf("%012d %-800.800s %-210.210s", l.engine.Sequence(), f.Name, f.ID) // fault:leak-loglines
}

// sampling keeps a sample of the process's state for each twentieth of a second.
type sampling struct {
	mu      sync.Mutex
	samples []*sample
}

type sample struct {
	at    time.Time
	state [4064]byte
}

const samplePeriod = time.Second / 20

func newSampling(*copier.Engine) copier.Hooks {
	s := &sampling{}
	return copier.Hooks{Start: func(ctx context.Context) { handy.Every(ctx, samplePeriod, s.take) }}
}

func (s *sampling) take() {
	v := newSample()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, v)
}

func newSample() *sample {
	return &sample{at: time.Now()} // fault:leak-sampling
}

// handle is one of a pair that point to each other. The first has a finalizer, so that the collector frees neither.
type handle struct {
	peer *handle
	file copier.File
	data [968]byte
}

func newPeers(*copier.Engine) copier.Hooks { return onDone(openPeers) }

func openPeers(f copier.File) {
	source, sink := newHandle(f), newHandle(f)
	source.peer, sink.peer = sink, source
	runtime.SetFinalizer(source, (*handle).close)
}

func newHandle(f copier.File) *handle {
	return &handle{file: f} // fault:leak-peers
}

func (h *handle) close() { h.peer = nil }
