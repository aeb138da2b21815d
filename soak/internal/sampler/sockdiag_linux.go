package sampler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// diagRequest is the kernel's struct inet_diag_req behind a netlink header: which sockets are asked for. It is the
// older of two forms, and the one that has IPv4 and IPv6 in one answer, for one walk of the kernel over its table.
type diagRequest struct {
	header unix.NlMsghdr
	_      [4]byte  // family, prefixes, extensions: all and none
	_      [48]byte // addresses: any
	states uint32   // a bit for each
	_      uint32
}

// diagRequestType is the kernel's TCPDIAG_GETSOCK.
const diagRequestType = 18

// Where the state and the inode are in the kernel's struct inet_diag_msg, and how long it is.
const (
	diagState  = 1
	diagInode  = 68
	diagLength = 72
)

// diagPatience bounds one answer of the kernel.
const diagPatience = time.Second

// diagSockets counts the TCP sockets with these inodes by state. It asks the kernel's socket diagnosis for those that
// belong to a process, which is many times cheaper than the tables of /proc. Not every kernel has it.
func diagSockets(inodes found) (map[string]int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open socket diagnosis: %w", err)
	}
	defer unix.Close(fd)
	patience := unix.NsecToTimeval(diagPatience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return nil, fmt.Errorf("socket diagnosis: %w", err)
	}
	q := diagRequest{states: ^uint32(1 << timeWait)}
	q.header = unix.NlMsghdr{Len: uint32(unsafe.Sizeof(q)), Type: diagRequestType,
		Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP}
	text := unsafe.Slice((*byte)(unsafe.Pointer(&q)), unsafe.Sizeof(q))
	if err := unix.Sendto(fd, text, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("ask socket diagnosis: %w", err)
	}
	counts := map[string]int{}
	err = readDiag(fd, func(inode uint32, state uint8) {
		if _, ok := inodes[inode]; ok {
			inodes[inode] = true
			counts[tcpStates[state]]++
		}
	})
	if err != nil {
		return nil, fmt.Errorf("socket diagnosis: %w", err)
	}
	return counts, nil
}

// readDiag calls each with every socket of the answer.
func readDiag(fd int, each func(inode uint32, state uint8)) error {
	buf := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch {
			case m.Header.Type == unix.NLMSG_DONE:
				return nil
			case m.Header.Type == unix.NLMSG_ERROR:
				return diagError(m.Data)
			case len(m.Data) >= diagLength:
				each(binary.NativeEndian.Uint32(m.Data[diagInode:]), m.Data[diagState])
			}
		}
	}
}

// diagError is the error number at the beginning of the kernel's refusal.
func diagError(data []byte) error {
	if len(data) < 4 {
		return unix.EPROTO
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(data)))
}
