package sampler

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"runtime"
	"strconv"

	"github.com/memsoak/memsoak/profiles/record"
)

// Where Go's heap arenas lie: from 0xc000000000 up until Go 1.25, at a random multiple of 64 MiB below 2^46 (arm64:
// 2^47) since. Below them are a program that is not position-independent and its brk heap, above them one that is
// (0x55... and 0xaa...), libraries and thread stacks. One base in 16,384 is below goArenaStart, and is taken for other
// memory then.
const (
	goArenaStart    = 1 << 32
	goArenaEnd      = 0x550000000000
	goArenaEndARM64 = 0xaa0000000000
)

// isArena reports whether the mapping at addr, with its line of smaps, is one of the Go heap's.
func isArena(addr uint64, line []byte) bool {
	end := uint64(goArenaEnd)
	if runtime.GOARCH == "arm64" {
		end = goArenaEndARM64
	}
	return addr >= goArenaStart && addr < end && !bytes.ContainsRune(line, '/') && !bytes.Contains(line, []byte("[heap]"))
}

// thp says whether the kernel gives huge pages to all, and hugePage is their size
// (Documentation/admin-guide/mm/transhuge.rst).
const (
	thp      = "/sys/kernel/mm/transparent_hugepage/enabled"
	hugePage = 2 << 20
)

// PageSize is in what pieces this machine's anonymous memory becomes resident, bytes.
func PageSize() int64 {
	if text, err := os.ReadFile(thp); err == nil && bytes.Contains(text, []byte("[always]")) {
		return hugePage
	}
	return int64(os.Getpagesize())
}

// parseSmaps adds up /proc/PID/smaps: resident, anonymous, file and shared memory, anonymous memory split into Go heap
// arenas and the rest, and how much of the arenas is mapped for use.
func parseSmaps(r io.Reader, p *record.Process) error {
	br := bufio.NewReaderSize(r, 64<<10)
	var inArena, usable bool
	var rss, anon int64
	flush := func(shmem bool) {
		p.RSS += rss
		p.Anon += anon
		if shmem {
			p.Shmem += rss - anon
		} else {
			p.File += rss - anon
		}
		if inArena {
			p.HeapArena += anon
		} else {
			p.OtherAnon += anon
		}
		rss, anon = 0, 0
	}
	shmem := false
	for {
		line, err := br.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			flush(shmem)
			if err == io.EOF {
				return nil
			}
			return err
		}
		key, rest, ok := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.IndexByte(key, ' ') >= 0 || !ok: // "start-end perms offset dev:minor inode path"
			flush(shmem)
			start, _, _ := bytes.Cut(line, []byte("-"))
			addr, _ := strconv.ParseUint(string(start), 16, 64)
			inArena = isArena(addr, line)
			usable = bytes.Contains(line, []byte(" rw"))
			shmem = bytes.Contains(line, []byte("/dev/shm")) || bytes.Contains(line, []byte("/memfd:")) ||
				bytes.Contains(line, []byte("/dev/zero")) || bytes.Contains(line, []byte("/SYSV"))
		case string(key) == "Size" && inArena && usable:
			p.ArenaSize += kilobytes(rest)
		case string(key) == "Rss":
			rss = kilobytes(rest)
		case string(key) == "Anonymous":
			anon = kilobytes(rest)
		case string(key) == "Swap":
			p.Swap += kilobytes(rest)
		}
	}
}

func kilobytes(b []byte) int64 {
	f := bytes.Fields(b)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseInt(string(f[0]), 10, 64)
	return n << 10
}
