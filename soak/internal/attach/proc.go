package attach

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// tcpListen is the state of a listening socket in /proc/net/tcp.
const tcpListen = "0A"

// Ports are the TCP ports that a process listens on.
func Ports(pid int) ([]int, error) {
	own, err := socketsOf(pid)
	if err != nil {
		return nil, err
	}
	var ports []int
	for inode, port := range listening(strconv.Itoa(pid)) {
		if own[inode] {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// socketsOf are the inodes of the sockets that a process has open.
func socketsOf(pid int) (map[string]bool, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, e := range list {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			if inode, ok := strings.CutPrefix(to, "socket:["); ok {
				own[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	return own, nil
}

// listening are the ports of the listening TCP sockets of a process's network, by inode. A table of the kernel's that
// can't be read has none.
func listening(process string) map[string]int {
	ports := map[string]int{}
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(filepath.Join("/proc", process, "net", table))
		if err != nil {
			continue
		}
		for sc := bufio.NewScanner(f); sc.Scan(); {
			col := strings.Fields(sc.Text())
			if len(col) < 10 || col[3] != tcpListen {
				continue
			}
			_, hex, _ := strings.Cut(col[1], ":")
			if p, err := strconv.ParseUint(hex, 16, 16); err == nil {
				ports[col[9]] = int(p)
			}
		}
		f.Close()
	}
	return ports
}

// oomKills notes how many processes of a process's cgroup have been killed for memory and returns whether there are
// more by now. Where the count can't be read there are none.
func oomKills(pid int) func() bool {
	file, key := eventsFile(pid)
	before, ok := readKey(file, key)
	return func() bool {
		now, okNow := readKey(file, key)
		return ok && okNow && now > before
	}
}

// eventsFile is the file with the count of kills: of cgroup v2, or of v1's memory controller.
func eventsFile(pid int) (file, key string) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(b)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) < 3 {
			continue
		}
		if part[1] == "memory" {
			return filepath.Join("/sys/fs/cgroup/memory", part[2], "memory.oom_control"), "oom_kill"
		}
		if part[0] == "0" {
			file, key = filepath.Join("/sys/fs/cgroup", part[2], "memory.events"), "oom_kill"
		}
	}
	return file, key
}

func readKey(file, key string) (int64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if name, val, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == key {
			n, err := strconv.ParseInt(val, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// noLimit is from what size on a limit is none: v1 has the largest page count in its place.
const noLimit = 1 << 62

// MemoryLimit is the limit of a process's memory cgroup in bytes; 0 without one, or where it can't be read.
func MemoryLimit(pid int) int64 {
	file, _ := eventsFile(pid)
	dir, base := filepath.Split(file)
	name := "memory.max"
	if base == "memory.oom_control" {
		name = "memory.limit_in_bytes"
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n >= noLimit {
		return 0
	}
	return n
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
	var wanted []string
	for inode, p := range listening("self") {
		if p == port {
			wanted = append(wanted, inode)
		}
	}
	if len(wanted) == 0 {
		return 0
	}
	list, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	var pids []int
	for _, e := range list {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	for _, pid := range slices.Backward(pids) {
		own, err := socketsOf(pid)
		if err == nil && slices.ContainsFunc(wanted, func(inode string) bool { return own[inode] }) {
			return pid
		}
	}
	return 0
}
