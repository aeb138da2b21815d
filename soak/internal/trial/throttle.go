package trial

import (
	"context"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// throttle holds a process to a share of a processor, as a quota of a container does: it may use so much time in each
// period, and is stopped for the rest of it. It works by signals, which every system has that can run a subject.
type throttle struct {
	pid    int
	share  float64
	cpu    func() float64 // time used so far, seconds; 0 when it can't be read
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex // held while the process must run or be left alone
}

// The clock of the throttle. The kernel counts a process's time in ticks of a hundredth of a second: a process gets
// that much ahead of its share, which is also the quota of a tenth in the usual period of a tenth of a second.
const (
	throttleStep  = 5 * time.Millisecond
	throttleAhead = 0.010 // seconds
)

// startThrottle begins to hold the process to the share.
func startThrottle(pid int, share float64, cpu func() float64) *throttle {
	ctx, cancel := context.WithCancel(context.Background())
	h := &throttle{pid: pid, share: share, cpu: cpu, cancel: cancel}
	h.done.Go(func() { h.run(ctx) })
	return h
}

func (h *throttle) run(ctx context.Context) {
	tick := time.NewTicker(throttleStep)
	defer tick.Stop()
	b := budget{share: h.share, used: h.cpu(), at: time.Now()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h.mu.Lock()
		signal := syscall.SIGCONT
		if b.spent(h.cpu(), time.Now()) {
			signal = syscall.SIGSTOP
		}
		_ = syscall.Kill(h.pid, signal) // a process that has ended needs no throttle
		h.mu.Unlock()
	}
}

// pause lets the process run as it likes until resume, for what stops it in another way.
func (h *throttle) pause() {
	if h != nil {
		h.mu.Lock()
		_ = syscall.Kill(h.pid, syscall.SIGCONT)
	}
}

func (h *throttle) resume() {
	if h != nil {
		h.mu.Unlock()
	}
}

// stop lets the process go.
func (h *throttle) stop() {
	if h != nil {
		h.cancel()
		h.done.Wait()
		_ = syscall.Kill(h.pid, syscall.SIGCONT)
	}
}

// budget is the processor time that a process may still use: it comes in with the clock, is spent by use, and unused
// time is lost but for throttleAhead.
type budget struct {
	share float64
	used  float64
	at    time.Time
	left  float64
}

// spent takes in the time that was used and says whether there is none left.
func (b *budget) spent(used float64, now time.Time) bool {
	b.left = min(throttleAhead, b.left+b.share*now.Sub(b.at).Seconds()) - max(0, used-b.used)
	b.used, b.at = max(b.used, used), now
	return b.left < 0
}

// cpuLimit is the share of a processor that the settings hold the subject to, 0 for no limit.
func (t *trial) cpuLimit() float64 {
	v, err := strconv.ParseFloat(t.Settings["cpu_limit"], 64)
	if err != nil || v <= 0 {
		return 0
	}
	return v
}
