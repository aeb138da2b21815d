package sampler

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// timeWait is the state of a connection that belongs to no process any more.
const timeWait = 6

var tcpStates = map[uint8]string{1: "established", 2: "syn-sent", 3: "syn-recv", 4: "fin-wait1", 5: "fin-wait2",
	timeWait: "time-wait", 7: "close", 8: "close-wait", 9: "last-ack", 10: "listen", 11: "closing"}

// found says of sockets, by inode, whether a table of the kernel has them.
type found map[uint32]bool

// sockets counts a process's TCP sockets by state: those of its network namespace that are among its descriptors.
func sockets(pid int, targets []string) map[string]int {
	inodes := found{}
	for _, t := range targets {
		if n, ok := socketInode(t); ok {
			inodes[n] = false
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	var counts map[string]int
	err := errors.ErrUnsupported
	if sameNetwork(pid) {
		counts, err = diagSockets(inodes)
	}
	if err != nil {
		counts = procSockets(pid, inodes)
	}
	if n := resetSockets(pid, inodes); n > 0 {
		counts["close"] += n
	}
	return counts
}

// socketInode is the inode in the target of a descriptor's link.
func socketInode(target string) (uint32, bool) {
	s, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 32)
	return uint32(n), err == nil
}

// resetSockets counts the TCP sockets that no table has. The kernel takes a connection off its tables once the other
// side has reset it, as it does a minute after it closed; the process has its descriptor until it closes its own end.
func resetSockets(pid int, inodes found) (n int) {
	if !slices.Contains(slices.Collect(maps.Values(inodes)), false) {
		return 0
	}
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	names, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	protocol := make([]byte, 32)
	for _, name := range names {
		path := filepath.Join(dir, name.Name())
		target, err := os.Readlink(path)
		inode, ok := socketInode(target)
		if in, known := inodes[inode]; err != nil || !ok || !known || in {
			continue
		}
		size, err := unix.Getxattr(path, "system.sockprotoname", protocol)
		if err == nil && strings.HasPrefix(string(protocol[:size]), "TCP") {
			n++
		}
	}
	return n
}

// sameNetwork says whether the process is in this one's network namespace, which is the only one that diagSockets sees.
func sameNetwork(pid int) bool {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	return err == nil && own == its
}

// procSockets counts from the tables of /proc, which the kernel writes as text, with each connection that has ended
// within the last minute: after a wave of thousands a reading takes tens of milliseconds.
func procSockets(pid int, inodes found) map[string]int {
	counts := map[string]int{}
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			continue // no IPv6
		}
		countSockets(b, inodes, counts)
	}
	return counts
}

// countSockets adds the sockets with these inodes in a table of /proc/net/tcp to the counts by state.
func countSockets(table []byte, inodes found, counts map[string]int) {
	const stateColumn, inodeColumn = 3, 9
	for line := range bytes.Lines(table) {
		f := bytes.Fields(line)
		if len(f) <= inodeColumn {
			continue
		}
		inode, err := strconv.ParseUint(string(f[inodeColumn]), 10, 32)
		if err != nil {
			continue
		}
		if _, ok := inodes[uint32(inode)]; !ok {
			continue
		}
		inodes[uint32(inode)] = true
		if state, err := strconv.ParseUint(string(f[stateColumn]), 16, 8); err == nil {
			counts[tcpStates[uint8(state)]]++
		}
	}
}
