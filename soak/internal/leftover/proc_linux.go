package leftover

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// startTime is when a process started, in clock ticks since boot; 0 when there is none. A zombie is none.
func startTime(pid int) uint64 {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0
	}
	s, err := p.Stat()
	if err != nil || s.State == "Z" {
		return 0
	}
	return s.Starttime
}

// killTries times killPause is how long killed processes may take to be gone.
const (
	killTries = 300
	killPause = 10 * time.Millisecond
)

// killMarked kills all processes with the run's mark in their environment, those that they start meanwhile too, and
// waits until they are gone. It returns how many there were.
func killMarked(run string) int {
	seen := map[int]bool{}
	for range killTries {
		pids := Marked(run)
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			seen[pid] = true
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(killPause)
	}
	return len(seen)
}

// Marked lists the processes, this one aside, that carry the run's mark. Zombies have no environment any more.
func Marked(run string) []int {
	mark := []byte(Variable + "=" + run)
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		return nil
	}
	var out []int
	for _, path := range paths {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, kv := range bytes.Split(env, []byte{0}) {
			if bytes.Equal(kv, mark) {
				out = append(out, pid)
			}
		}
	}
	return out
}
