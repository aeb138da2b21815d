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
