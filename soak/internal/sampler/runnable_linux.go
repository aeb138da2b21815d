package sampler

import "github.com/prometheus/procfs"

// runnable says whether a thread of the process runs or waits for a CPU. On a busy machine that tells more than CPU
// time: a process that gets none has work all the same.
func runnable(pid int) bool {
	threads, err := procfs.AllThreads(pid)
	if err != nil {
		return false
	}
	for _, t := range threads {
		if stat, err := t.Stat(); err == nil && stat.State == "R" {
			return true
		}
	}
	return false
}

// schedule is how long the threads of the process have run and have waited for a CPU, in seconds, to the nanosecond.
func schedule(pid int) (ran, waited float64, ok bool) {
	threads, err := procfs.AllThreads(pid)
	if err != nil {
		return 0, 0, false
	}
	for _, t := range threads {
		if s, err := t.Schedstat(); err == nil {
			ran, waited, ok = ran+float64(s.RunningNanoseconds)/1e9, waited+float64(s.WaitingNanoseconds)/1e9, true
		}
	}
	return ran, waited, ok
}
