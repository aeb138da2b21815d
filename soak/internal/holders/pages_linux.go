//go:build amd64 || arm64

package holders

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

// writable are the mappings that the process can write to and that are its own: anonymous ones and those of its
// program's file.
func (p *live) writable() ([]extent, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
	var out []extent
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var x extent
		var perm, offset, device, inode string
		_, err := fmt.Sscanf(sc.Text(), "%x-%x %s %s %s %s", &x.start, &x.end, &perm, &offset, &device, &inode)
		if err != nil {
			return nil, fmt.Errorf("read the mappings of process %d: %q: %w", p.pid, sc.Text(), err)
		}
		if strings.HasPrefix(perm, "rw") && (inode == "0" || exe != "" && strings.HasSuffix(sc.Text(), " "+exe)) {
			out = append(out, x)
		}
	}
	return out, nil
}

// Bits of an entry of /proc/PID/pagemap, of 8 bytes for each page.
const (
	pageSwapped  = 1 << 62
	pagePresent  = 1 << 63
	pagemapEntry = 8
)

// present are the runs of pages that the process has touched. Where the kernel doesn't say, all may be.
func (p *live) present(x extent) []extent {
	if p.pages == nil {
		return []extent{x}
	}
	size := uint64(os.Getpagesize())
	b := make([]byte, (x.end-x.start)/size*pagemapEntry)
	if _, err := p.pages.ReadAt(b, int64(x.start/size*pagemapEntry)); err != nil {
		return []extent{x}
	}
	var out []extent
	for at := x.start; len(b) > 0; at, b = at+size, b[pagemapEntry:] {
		switch n := len(out); {
		case binary.LittleEndian.Uint64(b)&(pagePresent|pageSwapped) == 0:
		case n > 0 && out[n-1].end == at:
			out[n-1].end += size
		default:
			out = append(out, extent{at, at + size})
		}
	}
	return out
}
