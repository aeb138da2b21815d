package subject

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"sync"
)

// boundedLog keeps the first and the last limit bytes of its input: a subject that floods its output
// fills neither the disk nor our memory. The end is written to the file by Close.
type boundedLog struct {
	mu      sync.Mutex
	f       *os.File
	limit   int
	head    int
	ring    []byte // the last bytes, of which ring[pos:] are the oldest once it is full
	pos     int
	dropped int64
	err     error
}

func newBoundedLog(path string, limit int) (*boundedLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	return &boundedLog{f: f, limit: limit}, nil
}

// Write never fails: a full disk must not stop the subject, which would block on its output.
func (l *boundedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(p)
	if room := l.limit - l.head; room > 0 {
		k := min(room, n)
		if _, err := l.f.Write(p[:k]); err != nil {
			l.err = err
		}
		l.head += k
		l.remember(p[:k])
		l.dropped -= int64(k) // on disk already
		p = p[k:]
	}
	l.remember(p)
	return n, nil
}

// remember appends p to the ring; dropped counts all bytes that went through it and are not on disk.
func (l *boundedLog) remember(p []byte) {
	l.dropped += int64(len(p))
	if len(p) > l.limit {
		p = p[len(p)-l.limit:]
	}
	if room := l.limit - len(l.ring); room > 0 {
		k := min(room, len(p))
		l.ring = append(l.ring, p[:k]...)
		p = p[k:]
	}
	for len(p) > 0 {
		k := copy(l.ring[l.pos:], p)
		l.pos = (l.pos + k) % len(l.ring)
		p = p[k:]
	}
}

// Tail returns the last n bytes written.
func (l *boundedLog) Tail(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := append(append([]byte(nil), l.ring[l.pos:]...), l.ring[:l.pos]...)
	return string(all[max(0, len(all)-n):])
}

// Close writes the rest of the end and closes the file.
func (l *boundedLog) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 {
		all := append(append([]byte(nil), l.ring[l.pos:]...), l.ring[:l.pos]...)
		keep := min(int64(len(all)), l.dropped)
		if cut := l.dropped - keep; cut > 0 {
			fmt.Fprintf(l.f, "\n[... %d bytes left out ...]\n", cut)
		}
		if _, err := l.f.Write(all[int64(len(all))-keep:]); err != nil {
			l.err = err
		}
	}
	if err := l.f.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
