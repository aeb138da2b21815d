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
