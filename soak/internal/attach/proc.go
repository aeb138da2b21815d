package attach

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"github.com/memsoak/memsoak/soak/internal/cgroup"
)

// discover tries the TCP ports that a process listens on.
func discover(ctx context.Context, pid int) (string, error) {
	ports, err := Ports(pid)
	if err != nil {
		return "", err
	}
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		for _, p := range ports {
			url := fmt.Sprintf("http://%s:%d/debug/pprof", host, p)
			if Answers(ctx, url) == nil {
				return url, nil
			}
		}
	}
	return "", ErrNoPprof
}

// Ports are the TCP ports that a process listens on.
func Ports(pid int) ([]int, error) {
	at, err := Listeners(pid)
	if err != nil {
		return nil, err
	}
	var ports []int
	for _, a := range at {
		ports = append(ports, int(a.Port()))
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// Listeners are the addresses at which a process listens for TCP.
func Listeners(pid int) (at []netip.AddrPort, err error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return nil, err
	}
	open, err := proc.FileDescriptorTargets()
	if err != nil {
		return nil, err
	}
	listening := listening(strconv.Itoa(pid))
	for _, target := range open {
		if a, ok := listening[target]; ok {
			at = append(at, a)
		}
	}
	return at, nil
}

// listening are the addresses of the listening TCP sockets of a process's network, by the targets of their descriptors.
// A table of the kernel's that can't be read has none.
func listening(process string) map[string]netip.AddrPort {
	at := map[string]netip.AddrPort{}
	fs, err := procfs.NewFS(filepath.Join("/proc", process))
	if err != nil {
		return at
	}
	//lint:ignore SA1019 netlink would be one more dependency; the tables are read once
	v4, _ := fs.NetTCP()
	//lint:ignore SA1019 see above; absent without IPv6
	v6, _ := fs.NetTCP6()
	const listens = 10
	for _, line := range slices.Concat(v4, v6) {
		if ip, ok := netip.AddrFromSlice(line.LocalAddr); ok && line.St == listens {
			at[fmt.Sprintf("socket:[%d]", line.Inode)] = netip.AddrPortFrom(ip.Unmap(), uint16(line.LocalPort))
		}
	}
	return at
}

// oomKills notes how many processes of a process's cgroup have been killed for memory and returns whether there are
// more by now. Where the count can't be read there are none.
func oomKills(pid int) func() bool {
	kills := cgroup.Kills(pid)
	before, ok := kills()
	return func() bool {
		now, okNow := kills()
		return ok && okNow && now > before
	}
}

// CommandOf is the command line of a process, nil where it can't be read.
func CommandOf(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimRight(string(b), "\x00"), "\x00")
}

// Owner is the process that listens on a port of this process's network, 0 where none can be seen. The kernel's table
// is read once; after it processes are searched, the newest first, only for a socket that is there.
func Owner(port int) int {
	wanted := listening("self")
	maps.DeleteFunc(wanted, func(_ string, a netip.AddrPort) bool { return int(a.Port()) != port })
	if len(wanted) == 0 {
		return 0
	}
	procs, err := procfs.AllProcs()
	if err != nil {
		return 0
	}
	sort.Sort(procs)
	for _, p := range slices.Backward(procs) {
		open, err := p.FileDescriptorTargets()
		if err == nil && slices.ContainsFunc(open, func(target string) bool { return wanted[target].IsValid() }) {
			return p.PID
		}
	}
	return 0
}
