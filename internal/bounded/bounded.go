// Package bounded reads what others wrote: run directories, configurations, answers. Each kind of input has one row in
// All, with the bytes, the depth and the number of parts that a reader takes; more is refused with the row's name.
// Files are regular ones: a device or a pipe behind a link never ends.
package bounded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ErrTooLarge is returned, wrapped with the row's name, for what exceeds its row.
var ErrTooLarge = errors.New("too large")

// ErrNotRegular is returned, wrapped, for a path that is no regular file.
var ErrNotRegular = errors.New("not a regular file")

// Cap is what a reader takes. Zero is no cap of that kind.
type Cap struct {
	Name  string
	Bytes int64
	Depth int // nested lists and maps
	Count int // tokens of YAML, lines, stacks
	// Within is how long one reading may take, of what comes from a process that may be slow on purpose.
	Within time.Duration
}

// The rows. A run of 10,000 cells has a run.json of some 10 MiB; a trial of 8 hours has 60 MiB of samples.
var (
	RunFile  = Cap{Name: "file of a run", Bytes: 128 << 20, Depth: 64}
	Samples  = Cap{Name: "samples of a trial", Bytes: 2 << 30}
	Sample   = Cap{Name: "line of samples", Bytes: 1 << 20, Depth: 64}
	Config   = Cap{Name: "configuration", Bytes: 256 << 10, Depth: 20, Count: 60_000}
	Plan     = Cap{Name: "fault plan", Bytes: 256 << 10, Depth: 20, Count: 60_000}
	Corpus   = Cap{Name: "corpus spec", Bytes: 64 << 10, Depth: 20, Count: 20_000}
	Baseline = Cap{Name: "baseline", Bytes: 64 << 20, Depth: 64}
	Template = Cap{Name: "template", Bytes: 64 << 10, Depth: 20}
	Expanded = Cap{Name: "expanded template", Bytes: 256 << 10}
	Secret   = Cap{Name: "certificate or key", Bytes: 1 << 20}
	Answer   = Cap{Name: "answer of a fake", Bytes: 64 << 20}
	Metrics  = Cap{Name: "metrics of a subject", Bytes: 16 << 20}
	Reading  = Cap{Name: "reading of a subject", Bytes: 64 << 20, Within: 30 * time.Second}
	Profile  = Cap{Name: "unpacked profile", Bytes: 128 << 20, Depth: 10_000, Count: 100_000}
	TextLine = Cap{Name: "line of a text profile", Bytes: 1 << 20}
	Reply    = Cap{Name: "answer to a wave's request", Bytes: 1 << 20}
)

// All is the table.
var All = []Cap{RunFile, Samples, Sample, Config, Plan, Corpus, Baseline, Template, Expanded, Secret, Answer, Metrics,
	Reading, Profile, TextLine, Reply}

func (c Cap) errorf(format string, args ...any) error {
	return fmt.Errorf("%w: a %s has at most %s", ErrTooLarge, c.Name, fmt.Sprintf(format, args...))
}

func (c Cap) tooLong() error { return c.errorf("%d bytes", c.Bytes) }

// Open opens a regular file of at most the row's size. Reading more than that is an error, should it grow.
func Open(path string, c Cap) (io.ReadCloser, error) {
	// Opening a pipe waits for its other end without O_NONBLOCK; a regular file doesn't mind.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = &fs.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	case c.Bytes > 0 && info.Size() > c.Bytes:
		err = &fs.PathError{Op: "read", Path: path, Err: c.tooLong()}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &reader{f: f, c: c, left: c.Bytes}, nil
}

// ReadFile reads a regular file of at most the row's size.
func ReadFile(path string, c Cap) ([]byte, error) {
	f, err := Open(path, c)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Reader fails once more than the row's size was read from r.
func Reader(r io.Reader, c Cap) io.Reader { return &reader{r: r, c: c, left: c.Bytes} }

type reader struct {
	f    *os.File
	r    io.Reader
	c    Cap
	left int64
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	from := r.r
	if r.f != nil {
		from = r.f
	}
	if r.c.Bytes == 0 {
		return from.Read(p)
	}
	if int64(len(p)) > r.left+1 {
		p = p[:r.left+1]
	}
	n, err := from.Read(p)
	if r.left -= int64(n); r.left < 0 {
		return n, r.c.tooLong()
	}
	return n, err
}

// Close implements io.Closer.
func (r *reader) Close() error { return r.f.Close() }

// Line reads a line of at most the row's size from r, with its end; at the end of r the rest, with io.EOF.
func Line(r interface{ ReadSlice(byte) ([]byte, error) }, into []byte, c Cap) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		into = append(into, part...)
		switch {
		case c.Bytes > 0 && int64(len(into)) > c.Bytes:
			return into, c.tooLong()
		case err == nil, !errors.Is(err, bufio.ErrBufferFull):
			return into, err
		}
	}
}
