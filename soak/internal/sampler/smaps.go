package sampler

import (
	"bufio"
	"bytes"
	"io"
	"strconv"

	"memsoak/profiles/record"
)

// goArenaStart is where Go's heap arenas begin on 64-bit Linux; they grow upwards from there, well below the
// mappings of libraries and thread stacks.
const (
	goArenaStart = 0xc000000000
	goArenaEnd   = 0x7e0000000000
)

// parseSmaps adds up /proc/PID/smaps: resident, anonymous, file and shared memory, and anonymous memory split into Go
// heap arenas and the rest.
func parseSmaps(r io.Reader, p *record.Process) error {
	br := bufio.NewReaderSize(r, 64<<10)
	var inArena bool
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
			inArena = addr >= goArenaStart && addr < goArenaEnd && !bytes.Contains(line, []byte("/"))
			shmem = bytes.Contains(line, []byte("/dev/shm")) || bytes.Contains(line, []byte("/memfd:")) ||
				bytes.Contains(line, []byte("/dev/zero")) || bytes.Contains(line, []byte("/SYSV"))
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
