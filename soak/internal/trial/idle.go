package trial

import (
	"time"

	"github.com/memsoak/memsoak/internal/stat"
)

// usage is what a process has used at a moment, counted since it began.
type usage struct {
	at   time.Time
	work float64 // requests, CPU seconds or bytes allocated
	wait float64 // seconds that its threads waited for a CPU
}

// idleWatch notices when a process's load stops, by its usage. It compares the rate with the highest of late that
// lasted, since a high rate for one service is a low one for another, and a burst, as at a start, is no load.
type idleWatch struct {
	last  usage
	rates []rate // of the last while
	usual rate   // the highest of late that lasted
	busy  int
	quiet int
	back  int  // busy readings in a row
	rests bool // a floor was made since it was busy
	// least is the highest rate below which a counter says nothing of load.
	least float64
}

// rate is the use each second from one moment to another.
type rate struct {
	from, to time.Time
	work     float64
	wants    float64 // work and waiting for a CPU
}

const (
	// idleShare is the part of the usual rate below which a process is idle: timers, and collections, cost some. idleWants
	// is that of the CPU time it wants: where others take it, an idle process waits for it as well, but less.
	idleShare = 0.12
	idleWants = 0.25
	// busyBefore and quietFor are how many readings have to show load before, and none after.
	busyBefore = 3
	quietFor   = 2
	// backAfter is how many busy readings in a row bring the load back: tickers and collections make single ones.
	backAfter = 3
	// leastCPU is the CPU time per second, of a load, below which it looks like timers and collections.
	leastCPU = 0.005
	// lasts is over what time the median of the rates is the usual one, of at least leastRates readings.
	lasts      = 10 * time.Second
	leastRates = 3
	// usualFades is the remaining part of the usual rate after each busy reading: much work doesn't count for ever.
	usualFades = 0.98
)

// observe takes a reading and reports whether the load has just stopped.
func (w *idleWatch) observe(now usage) bool {
	was, since := w.last, now.at.Sub(w.last.at).Seconds()
	first := w.last.at.IsZero()
	w.last = now
	if first || since <= 0 || now.work < was.work { // a new process counts from zero
		w.quiet = 0
		return false
	}
	r := rate{from: was.at, to: now.at, work: (now.work - was.work) / since}
	r.wants = r.work + max(0, now.wait-was.wait)/since
	if r.work > idleShare*w.usual.work || r.wants > idleWants*w.usual.wants {
		w.atWork(r)
		return false
	}
	w.quiet++
	w.back = 0
	if w.usual.work <= w.least || w.busy < busyBefore || w.quiet < quietFor || w.rests {
		return false
	}
	w.rests, w.busy, w.rates = true, 0, nil
	return true
}

// atWork takes a busy reading into account.
func (w *idleWatch) atWork(r rate) {
	w.busy++
	w.quiet = 0
	if w.back++; w.back >= backAfter {
		w.rests = false
	}
	w.rates = append(w.rates, r)
	for len(w.rates) > leastRates && r.to.Sub(w.rates[1].from) >= lasts {
		w.rates = w.rates[1:]
	}
	w.usual.work *= usualFades
	w.usual.wants *= usualFades
	if len(w.rates) < leastRates || r.to.Sub(w.rates[0].from) < lasts {
		return
	}
	var work, wants []float64
	for _, r := range w.rates {
		work, wants = append(work, r.work), append(wants, r.wants)
	}
	w.usual.work, w.usual.wants = max(w.usual.work, stat.Median(work)), max(w.usual.wants, stat.Median(wants))
}

// resting reports whether the load has stopped and not come back.
func (w *idleWatch) resting() bool { return w.rests }

// unsure reports whether the load may be coming back: the next readings tell.
func (w *idleWatch) unsure() bool { return w.rests && w.back > 0 }

// skip leaves out the use since the reading before: the taking of profiles is no load.
func (w *idleWatch) skip(now usage) {
	if !w.last.at.IsZero() {
		w.last = now
	}
}
