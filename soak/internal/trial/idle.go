package trial

import "time"

// idleWatch notices when a process's load stops, by a counter of its work: requests, CPU seconds or bytes allocated.
// It compares the rate with the highest of late, since a high rate for one service is a low one for another.
type idleWatch struct {
	last   float64
	at     time.Time
	peak   float64
	busy   int
	quiet  int
	back   int  // busy readings in a row
	floors bool // a floor was made since it was busy
	// least is the highest rate below which a counter says nothing of load.
	least float64
}

const (
	// idleShare is the part of the highest rate below which a process is idle; the taking of profiles costs some.
	idleShare = 0.08
	// busyBefore and quietFor are how many readings have to show load before, and none after.
	busyBefore = 3
	quietFor   = 2
	// backAfter is how many busy readings in a row bring the load back: tickers and collections make single ones.
	backAfter = 3
	// leastCPU is the CPU time per second, of a load, below which that clock's ticks of 10 ms can't tell it from none.
	leastCPU = 0.05
	// peakFades is the remaining part of the highest rate after each busy reading: one burst doesn't count for ever.
	peakFades = 0.98
)

// observe takes a reading of the counter and reports whether the load has just stopped.
func (w *idleWatch) observe(at time.Time, work float64) bool {
	was, since := w.last, at.Sub(w.at).Seconds()
	first := w.at.IsZero()
	w.last, w.at = work, at
	if first || since <= 0 || work < was { // a new process counts from zero
		w.quiet = 0
		return false
	}
	rate := (work - was) / since
	if rate > idleShare*w.peak {
		w.peak = max(w.peak*peakFades, rate)
		w.busy++
		w.quiet = 0
		if w.back++; w.back >= backAfter {
			w.floors = false
		}
		return false
	}
	w.quiet++
	w.back = 0
	if w.peak < w.least || w.busy < busyBefore || w.quiet < quietFor || w.floors {
		return false
	}
	w.floors, w.busy, w.back = true, 0, 0
	return true
}

// resting reports whether the load has stopped and not come back.
func (w *idleWatch) resting() bool { return w.floors }

// skip leaves out of the counter the use since the reading before: the taking of profiles is no load.
func (w *idleWatch) skip(at time.Time, work float64) {
	if !w.at.IsZero() {
		w.last, w.at = work, at
	}
}
