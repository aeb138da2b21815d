package queue

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// segmentSize is where a segment ends and the next begins. Small ones give their disk space back soon.
const segmentSize = 8 << 20

// chunk is the size of the buffers that lanes read and write with.
const chunk = 64 << 10

// lane is an append-only log of records in segments named by the offset that they begin at. Its callers hold the
// queue's lock.
type lane struct {
	dir, name string
	buf       []byte // for reading

	end  int64    // where the next record goes; all before is committed
	w    *os.File // the last segment; nil before the first write
	wAt  int64    // offset that w begins at
	r    *os.File // the segment that was read last
	rAt  int64
	rEnd int64 // where r ends; that of the last segment is unknown and 0
}

func (l *lane) path(at int64) string {
	return filepath.Join(l.dir, fmt.Sprintf("%s-%016x.seg", l.name, at))
}

// segments returns the offsets of the lane's segments in order.
func (l *lane) segments() ([]int64, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var at []int64
	for _, e := range entries {
		hex, ok := strings.CutPrefix(e.Name(), l.name+"-")
		hex, seg := strings.CutSuffix(hex, ".seg")
		if v, err := strconv.ParseInt(hex, 16, 64); ok && seg && err == nil {
			at = append(at, v)
		}
	}
	return at, nil // ReadDir sorts, and names have equal lengths
}

// append writes records at the end. They aren't committed before the caller sets end.
func (l *lane) append(records []byte) (end int64, err error) {
	if len(records) == 0 {
		return l.end, nil
	}
	if l.w == nil || l.end-l.wAt >= segmentSize {
		if err := l.roll(); err != nil {
			return 0, err
		}
	}
	if _, err := l.w.WriteAt(records, l.end-l.wAt); err != nil {
		return 0, err
	}
	return l.end + int64(len(records)), nil
}

// roll begins a segment at the end, or opens the last one after a restart.
func (l *lane) roll() error {
	if l.w != nil {
		if err := errors.Join(l.sync(), l.w.Close()); err != nil {
			return err
		}
		l.w = nil
	}
	at, err := l.segments()
	if err != nil {
		return err
	}
	from := l.end
	if n := len(at); n > 0 && at[n-1] < l.end && l.end-at[n-1] < segmentSize {
		from = at[n-1]
	}
	f, err := os.OpenFile(l.path(from), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	l.w, l.wAt = f, from
	if l.r != nil && l.rEnd == 0 && l.rAt < from {
		l.rEnd = from
	}
	return syncDir(l.dir)
}

// sync makes the written bytes durable and lets the kernel drop it from its cache, which a memory cgroup is charged
// for.
func (l *lane) sync() error {
	if l.w == nil {
		return nil
	}
	return syncAndDrop(l.w)
}

// syncAndDrop makes a file durable and gives its pages back. The file may be closed meanwhile: the descriptor is held
// through SyscallConn, so that the hint never meets another file's.
func syncAndDrop(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = unix.Fadvise(int(fd), 0, 0, unix.FADV_DONTNEED) }) // a hint only
	}
	return nil
}

// read calls f with the records from offset on, up to the limit, until f returns false or a chunk is read. It returns
// the offset behind the last record.
func (l *lane) read(from, limit int64, f func(offset int64, payload []byte) bool) (int64, error) {
	if from >= limit {
		return from, nil
	}
	if err := l.seek(from); err != nil {
		return from, err
	}
	if l.buf == nil {
		l.buf = make([]byte, chunk)
	}
	if l.rEnd > 0 {
		limit = min(limit, l.rEnd)
	}
	n, err := l.r.ReadAt(l.buf[:min(int64(len(l.buf)), limit-from)], from-l.rAt)
	if err != nil && err != io.EOF {
		return from, err
	}
	b := l.buf[:n]
	for at := from; ; {
		payload, size, err := nextRecord(b)
		switch {
		case errors.Is(err, errShort) && at > from:
			return at, nil
		case errors.Is(err, errShort) && size > len(l.buf) && from+int64(size) <= limit:
			l.buf = make([]byte, size)
			return l.read(from, limit, f)
		case err != nil:
			return at, fmt.Errorf("%s at %d: %w", l.path(l.rAt), at-l.rAt, err)
		}
		at += int64(size)
		b = b[size:]
		if !f(at-int64(size), payload) || len(b) == 0 {
			return at, nil
		}
	}
}

// seek opens the segment that holds the offset.
func (l *lane) seek(from int64) error {
	if l.r != nil && from >= l.rAt && (l.rEnd == 0 || from < l.rEnd) {
		return nil
	}
	at, err := l.segments()
	if err != nil {
		return err
	}
	i := len(at) - 1
	for i >= 0 && at[i] > from {
		i--
	}
	if i < 0 {
		return fmt.Errorf("%s: the segment with offset %d is missing", l.path(from), from)
	}
	if l.r != nil {
		l.r.Close()
	}
	if l.r, err = os.Open(l.path(at[i])); err != nil {
		return err
	}
	l.rAt, l.rEnd = at[i], 0
	if i+1 < len(at) {
		l.rEnd = at[i+1]
	}
	return nil
}

// valid returns how far whole records go from an offset that is a record's beginning.
func (l *lane) valid(from int64) (int64, error) {
	for {
		at, err := l.segments()
		if err != nil || len(at) == 0 {
			return from, err
		}
		info, err := os.Stat(l.path(at[len(at)-1]))
		if err != nil {
			return from, err
		}
		next, err := l.read(from, at[len(at)-1]+info.Size(), func(int64, []byte) bool { return true })
		if errors.Is(err, errDamaged) || errors.Is(err, errShort) || next == from {
			return next, nil
		}
		if err != nil {
			return from, err
		}
		from = next
	}
}

// trim removes what lies behind the end and segments that lie wholly before cursor.
func (l *lane) trim(cursor int64) error {
	at, err := l.segments()
	if err != nil {
		return err
	}
	for i, a := range at {
		switch {
		case a > l.end || i+1 < len(at) && at[i+1] <= cursor:
			if l.r != nil && l.rAt == a {
				l.r.Close()
				l.r = nil
			}
			if err := os.Remove(l.path(a)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lane) close() error {
	var errs []error
	for _, f := range []*os.File{l.w, l.r} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	l.w, l.r = nil, nil
	return errors.Join(errs...)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
