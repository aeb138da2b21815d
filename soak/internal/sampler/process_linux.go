package sampler

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"memsoak/profiles/record"
)

var tcpStates = map[uint64]string{1: "established", 2: "syn-sent", 3: "syn-recv", 4: "fin-wait1", 5: "fin-wait2",
	6: "time-wait", 7: "close", 8: "close-wait", 9: "last-ack", 10: "listen", 11: "closing"}

// readProcess reads what the kernel knows of a process.
func readProcess(pid int) (*record.Process, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v := &record.Process{}
	if err := parseSmaps(f, v); err != nil {
		return nil, err
	}
	stat, err := proc.Stat()
	if err != nil {
		return nil, err
	}
	v.CPUSeconds, v.Threads = stat.CPUTime(), stat.NumThreads
	targets, err := proc.FileDescriptorTargets()
	if err != nil {
		return nil, err
	}
	v.FDs = len(targets)
	v.Sockets = sockets(pid, targets)
	return v, nil
}

// readCPU is the CPU time that a process has used, in seconds.
func readCPU(pid int) (float64, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()
	return stat.CPUTime(), err
}

// readRSS is a process's resident size, from one small file.
func readRSS(pid int) (int64, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := proc.Stat()
	return int64(stat.ResidentMemory()), err
}

// readPeakRSS is the largest resident size that a process ever had, as the kernel keeps it.
func readPeakRSS(pid int) (int64, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := proc.NewStatus()
	return int64(status.VmHWM), err
}

// sockets counts a process's TCP sockets by state: those of its network namespace that are among its descriptors.
func sockets(pid int, targets []string) map[string]int {
	inodes := map[uint64]bool{}
	for _, t := range targets {
		if s, ok := strings.CutPrefix(t, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				inodes[n] = true
			}
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	out := map[string]int{}
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // no IPv6
		}
		countSockets(b, inodes, out)
	}
	return out
}

// countSockets adds the sockets with these inodes in a table of /proc/net/tcp to the counts by state.
func countSockets(table []byte, inodes map[uint64]bool, counts map[string]int) {
	const stateColumn, inodeColumn = 3, 9
	for line := range bytes.Lines(table) {
		f := bytes.Fields(line)
		if len(f) <= inodeColumn {
			continue
		}
		inode, err := strconv.ParseUint(string(f[inodeColumn]), 10, 64)
		if err != nil || !inodes[inode] {
			continue
		}
		if state, err := strconv.ParseUint(string(f[stateColumn]), 16, 8); err == nil {
			counts[tcpStates[state]]++
		}
	}
}
