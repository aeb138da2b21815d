package sampler

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// timeWait is the state of a connection that belongs to no process any more.
const timeWait = 6

var tcpStates = map[uint8]string{1: "established", 2: "syn-sent", 3: "syn-recv", 4: "fin-wait1", 5: "fin-wait2",
	timeWait: "time-wait", 7: "close", 8: "close-wait", 9: "last-ack", 10: "listen", 11: "closing"}

// sockets counts a process's TCP sockets by state: those of its network namespace that are among its descriptors.
func sockets(pid int, targets []string) map[string]int {
	inodes := map[uint32]bool{}
	for _, t := range targets {
		if s, ok := strings.CutPrefix(t, "socket:["); ok {
			if n, err := strconv.ParseUint(strings.TrimSuffix(s, "]"), 10, 32); err == nil {
				inodes[uint32(n)] = true
			}
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	if sameNetwork(pid) {
		if counts, err := diagSockets(inodes); err == nil {
			return counts
		}
	}
	return procSockets(pid, inodes)
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
func procSockets(pid int, inodes map[uint32]bool) map[string]int {
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
func countSockets(table []byte, inodes map[uint32]bool, counts map[string]int) {
	const stateColumn, inodeColumn = 3, 9
	for line := range bytes.Lines(table) {
		f := bytes.Fields(line)
		if len(f) <= inodeColumn {
			continue
		}
		inode, err := strconv.ParseUint(string(f[inodeColumn]), 10, 32)
		if err != nil || !inodes[uint32(inode)] {
			continue
		}
		if state, err := strconv.ParseUint(string(f[stateColumn]), 16, 8); err == nil {
			counts[tcpStates[uint8(state)]]++
		}
	}
}
