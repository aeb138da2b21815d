package soak

import (
	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/profiles/record"
)

// describeHost fills in what the kernel says; what it doesn't say stays empty.
func describeHost(h *record.Host) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return
	}
	if m, err := fs.Meminfo(); err == nil && m.MemTotalBytes != nil {
		h.Memory = int64(*m.MemTotalBytes)
	}
	if cpus, err := fs.CPUInfo(); err == nil && len(cpus) > 0 {
		h.CPUModel = cpus[0].ModelName
	}
}

// memoryAvailable is what can be had without swapping, in bytes; 0 where the kernel doesn't say.
func memoryAvailable() int64 {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return 0
	}
	m, err := fs.Meminfo()
	if err != nil || m.MemAvailableBytes == nil {
		return 0
	}
	return int64(*m.MemAvailableBytes)
}
