package trial

import "time"

// idleWatch notices when a process's load stops, by a counter of its work: requests, CPU seconds or bytes allocated. What
// counts is the rate against the highest of late, since what is much for one service is nothing for another.
type idleWatch struct {
	last   float64
	at     time.Time
	peak   float64
	busy   int
	quiet  int
	floors bool // a floor was made since it was busy
}

const (
	// idleShare is the part of the highest rate below which a process is idle; the taking of profiles costs some.
	idleShare = 0.08
	// busyBefore and quietFor are how many readings have to show load before, and none after.
	busyBefore = 3
	quietFor   = 2
	// peakFades is what is left of the highest rate after each busy reading, so that one burst doesn't count for ever.
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
		w.floors = false
		return false
	}
	w.quiet++
	if w.busy < busyBefore || w.quiet < quietFor || w.floors {
		return false
	}
	w.floors, w.busy = true, 0
	return true
}
