package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/internal/screen"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/migrator"
)

// progress shows how a migration goes: a bar on a terminal, else a line now and then, or JSON events.
type progress struct {
	out    io.Writer
	json   bool
	stats  *migrator.Stats
	began  time.Time
	every  time.Duration
	fromMu sync.Mutex // of out
	stop   func()
	ending chan struct{}
	done   chan struct{}
	still  still
}

// newProgress starts showing. Close ends it. why names the thing waited for when nothing moves and no try failed.
func newProgress(out io.Writer, asJSON bool, every time.Duration, s *migrator.Stats, why func() string) *progress {
	p := &progress{out: out, json: asJSON, stats: s, began: time.Now(), every: every,
		ending: make(chan struct{}), done: make(chan struct{}), still: still{why: why}}
	p.stop = sync.OnceFunc(func() { close(p.ending) })
	show := p.lines
	if raw := foreign.Raw(out); screen.IsTerminal(raw) && !asJSON {
		p.out, show = raw, p.bar // a bar steers the terminal; its words are plain
	}
	go func() {
		defer close(p.done)
		show()
	}()
	return p
}

// Close stops showing. Closed again it does nothing.
func (p *progress) Close() {
	p.stop()
	<-p.done
}

// event prints an event as JSON, and keeps it if something waits for it.
func (p *progress) event(e migrator.Event) {
	if e.Wait > 0 {
		p.still.retry.Store(&e)
	}
	if p.json {
		p.print(e)
	}
}

func (p *progress) print(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		return // events are plain structs
	}
	p.fromMu.Lock()
	defer p.fromMu.Unlock()
	_, _ = p.out.Write(append(b, '\n')) // there may be no reader
}

// sample is what a line of progress says.
type sample struct {
	Time     time.Time `json:"time"`
	Event    string    `json:"event"` // "progress"
	Files    int64     `json:"files"`
	Found    int64     `json:"found"`
	Failed   int64     `json:"failed"`
	Bytes    int64     `json:"bytes"`
	Rate     float64   `json:"bytes_per_second"`
	Memory   uint64    `json:"memory_bytes"`
	InFlight int64     `json:"in_flight"`
}

func (p *progress) lines() {
	t, look := time.NewTicker(p.every), time.NewTicker(stillAfter)
	defer t.Stop()
	defer look.Stop()
	last, at := p.stats.Bytes.Load(), p.began
	for {
		select {
		case <-p.ending:
			return
		case now := <-look.C:
			p.waits(now, p.out)
		case now := <-t.C:
			s := p.sample(now, last, at)
			last, at = s.Bytes, now
			if p.json {
				p.print(s)
				continue
			}
			p.fromMu.Lock()
			fmt.Fprintf(p.out, "Files: %d of %d found, %d failed\n", s.Files, s.Found, s.Failed)
			fmt.Fprintln(p.out, bandwidthLine(s.Rate, s.Memory, s.Bytes))
			p.fromMu.Unlock()
		}
	}
}

func (p *progress) sample(now time.Time, last int64, at time.Time) sample {
	s := p.stats
	n := s.Bytes.Load()
	return sample{Time: now, Event: "progress", Files: s.Copied.Load() + s.Skipped.Load() + s.Verified.Load(),
		Found:  s.Found.Load(),
		Failed: s.Failed.Load(), Bytes: n, Rate: float64(n-last) / max(now.Sub(at).Seconds(), 1e-3), Memory: memory(),
		InFlight: s.InFlight.Load()}
}

// bandwidthLine is the line that log scrapers know. Units are decimal.
func bandwidthLine(rate float64, memory uint64, bytes int64) string {
	return fmt.Sprintf("Bandwidth: %.1f MB/s | Memory: %.1f MB | Total: %.1f GB transferred", rate/1e6,
		float64(memory)/1e6, float64(bytes)/1e9)
}

// memory is what the Go runtime holds of the system, in bytes: near the process's anonymous memory, and cheap.
func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}

// bar draws a bar on a terminal until Close.
func (p *progress) bar() {
	block := screen.NewBlock(p.out)
	t, look := time.NewTicker(200*time.Millisecond), time.NewTicker(stillAfter)
	defer t.Stop()
	defer look.Stop()
	draw := func(now time.Time) {
		width, _ := screen.Size(p.out)
		p.fromMu.Lock()
		defer p.fromMu.Unlock()
		block.Draw([]string{screen.Cut(p.barLine(now, width), width)})
	}
	for {
		select {
		case <-p.ending:
			draw(time.Now())
			return
		case now := <-look.C:
			block.Clear()
			p.waits(now, p.out)
			draw(now)
		case now := <-t.C:
			draw(now)
		}
	}
}

// barLine is files, a bar of the rest of the width, bytes, the average rate, the time left by it, and memory.
func (p *progress) barLine(now time.Time, width int) string {
	s := p.sample(now, 0, p.began)
	total := max(p.stats.FoundBytes.Load(), s.Bytes, 1)
	left := ""
	if s.Rate > 0 {
		left = (time.Duration(float64(total-s.Bytes) / s.Rate * float64(time.Second))).Round(time.Second).String()
	}
	begin := fmt.Sprintf("%d/%d files, %d failed ", s.Files, s.Found, s.Failed)
	end := fmt.Sprintf(" %s / %s  %s/s  %s  mem %s", units.FormatBytes(s.Bytes), units.FormatBytes(total),
		units.FormatBytes(int64(s.Rate)), left, units.FormatBytes(int64(s.Memory)))
	room := width - screen.Width(begin+end) - len("[]")
	if room < 4 {
		return begin + end
	}
	full := int(float64(room) * float64(s.Bytes) / float64(total))
	return begin + "[" + strings.Repeat("=", full) + strings.Repeat("-", room-full) + "]" + end
}
