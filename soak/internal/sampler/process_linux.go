package sampler

import (
	"fmt"
	"math"
	"os"

	"github.com/prometheus/procfs"

	"github.com/memsoak/memsoak/profiles/record"
)

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
	limits, err := proc.Limits()
	if err != nil {
		return nil, err
	}
	if limits.OpenFiles < math.MaxInt {
		v.FDLimit = int(limits.OpenFiles)
	}
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
