package service

import (
	"runtime"
	"time"
)

// gcEvery is how often the service looks at its heap.
const gcEvery = time.Second

// forceGC forces a collection each gcEvery while the heap is larger than above bytes, until the returned function is
// called, which waits for it to end.
func forceGC(above uint64) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(gcEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				collectAbove(above)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// collectAbove forces a collection if the heap is larger than above bytes, and says whether it did.
func collectAbove(above uint64) bool {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc <= above {
		return false
	}
	runtime.GC()
	return true
}
