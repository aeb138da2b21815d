package sampler

import (
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
	v.Sockets, err = sockets(pid, targets)
	return v, err
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
func sockets(pid int, targets []string) (map[string]int, error) {
	inodes := map[uint64]bool{}
	for _, t := range targets {
		if s, ok := strings.CutPrefix(t, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 64); err == nil {
				inodes[n] = true
			}
		}
	}
	if len(inodes) == 0 {
		return nil, nil
	}
	fs, err := procfs.NewFS(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for _, table := range []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6} {
		lines, err := table()
		if err != nil {
			continue // no IPv6
		}
		for _, l := range lines {
			if inodes[l.Inode] {
				out[tcpStates[l.St]]++
			}
		}
	}
	return out, nil
}
