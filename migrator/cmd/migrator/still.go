package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/migrator"
)

// While nothing moves the reason is said after stillAfter, and again when it changes or after stillAgain.
const (
	stillAfter = 10 * time.Second
	stillAgain = time.Minute
)

// still describes a wait.
type still struct {
	why    func() string
	retry  atomic.Pointer[migrator.Event] // the last one that made something wait
	at     int64                          // what had moved at the last look
	reason string                         // that was said last
	said   time.Time
}

// moved counts what can move.
func moved(s *migrator.Stats) int64 {
	return s.Pages.Load() + s.Found.Load() + s.Copied.Load() + s.Skipped.Load() + s.Filtered.Load() +
		s.Unavailable.Load() +
		s.Failed.Load() + s.Verified.Load() + s.Bytes.Load()
}

// waits says why nothing has moved since the last look.
func (p *progress) waits(now time.Time, out io.Writer) {
	w := &p.still
	was := w.at
	if w.at = moved(p.stats); w.at != was {
		w.reason = ""
		return
	}
	reason := p.waitsFor(now)
	if reason == w.reason && now.Sub(w.said) < stillAgain {
		return
	}
	w.reason, w.said = reason, now
	if p.json {
		p.print(migrator.Event{Time: now, Type: "waiting", Detail: reason})
		return
	}
	p.fromMu.Lock()
	defer p.fromMu.Unlock()
	fmt.Fprintf(out, "waiting: %s\n", foreign.Line(reason, len("waiting: ")))
}

// waitsFor is the last try that failed, while its pause may last; else what the command knows.
func (p *progress) waitsFor(now time.Time) string {
	if e := p.still.retry.Load(); e != nil && now.Sub(e.Time) < e.Wait+stillAfter {
		return fmt.Sprintf("%s: tried again after %v", e.Detail, e.Wait.Round(time.Millisecond))
	}
	return fmt.Sprintf("nothing has moved for %v, %d transfers are in flight: %s", stillAfter, p.stats.InFlight.Load(),
		p.still.why())
}
