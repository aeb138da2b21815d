package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/memsoak/memsoak/internal/bounded"
)

// MaxUnpacked is the most bytes that a profile may have once it is unpacked, and that a file is read for. A real heap
// profile of a large service has some 20 MiB.
var MaxUnpacked = bounded.Profile.Bytes

// maxLayers is how many times a file may be compressed: people compress what the server had compressed already.
const maxLayers = 3

// ErrTooLarge is returned, wrapped, for a file that is more than MaxUnpacked bytes, packed or unpacked.
var ErrTooLarge = fmt.Errorf("more than %d MiB unpacked, which no profile of one process is; nothing was read",
	MaxUnpacked>>20)

// ErrTruncated is returned, wrapped, for compressed data that ends too early.
var ErrTruncated = errors.New("cut off in the middle: fetch it again, with a timeout of the client that is longer")

// unpacker keeps its buffers from one profile to the next: a recording has hundreds, most of the same size. It is for
// one goroutine.
type unpacker struct {
	zip  gzip.Reader
	bufs [2]bytes.Buffer
}

// maxKept is the largest buffer in bytes that an unpacker keeps.
const maxKept = 16 << 20

var unpackers = sync.Pool{New: func() any { return new(unpacker) }}

// unpack takes all layers of gzip off b and reports how many there were. The result may lie in a buffer of u.
func (u *unpacker) unpack(b []byte) (plain []byte, layers int, err error) {
	for layers < maxLayers && len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b {
		if err := u.zip.Reset(bytes.NewReader(b)); err != nil {
			return nil, layers, fmt.Errorf("damaged gzip header: %w", err)
		}
		buf := &u.bufs[layers%2]
		n, err := Unpack(buf, &u.zip, b, MaxUnpacked)
		switch {
		case n > MaxUnpacked:
			return nil, layers, ErrTooLarge
		case errors.Is(err, io.ErrUnexpectedEOF):
			return nil, layers, fmt.Errorf("%w (%d bytes could be unpacked)", ErrTruncated, n)
		case errors.Is(err, ErrNotProfile), errors.Is(err, ErrTooLarge), errors.Is(err, ErrLongText):
			return nil, layers, err
		case err != nil:
			return nil, layers, fmt.Errorf("damaged: %w", err)
		}
		b = buf.Bytes()
		layers++
	}
	if layers == maxLayers && len(b) > 2 && b[0] == 0x1f && b[1] == 0x8b {
		return nil, layers, fmt.Errorf("gzip inside gzip %d times over, which is no profile", maxLayers)
	}
	return b, layers, nil
}

// usual is more than a profile has, unpacked, but for very few. What has more is looked at after so many bytes.
const usual = 16 << 20

// ErrLongText is returned, wrapped, for text that is longer than what a person asked for can be.
var ErrLongText = fmt.Errorf("more than %d MiB of text: fetch it without ?debug=1, which is shorter and says more",
	usual>>20)

// plausible says why what begins with head, of usual bytes, isn't worth more memory.
func plausible(head []byte) error {
	switch f := form(head); {
	case len(head) > 2 && head[0] == 0x1f && head[1] == 0x8b, f == formGoroutineDump:
		return nil // one more layer, or a goroutine a kilobyte
	case f == formProto:
		return affordable(head, false)
	case f == formNone:
		return fmt.Errorf("%w: %s", ErrNotProfile, whatElse(head))
	}
	return ErrLongText
}

// Unpack puts into buf what b has unpacked, and returns its length; above the limit it is limit+1, and buf has a part.
// More than usual has to begin as a profile does, and is counted before a buffer grows for it: zeros without
// end cost neither time nor memory. zip reads b from its beginning.
func Unpack(buf *bytes.Buffer, zip *gzip.Reader, b []byte, limit int64) (int64, error) {
	buf.Reset()
	n, err := buf.ReadFrom(io.LimitReader(zip, min(usual, limit)+1))
	if n <= min(usual, limit) || err != nil {
		return n, err
	}
	if err := plausible(buf.Bytes()); err != nil {
		return n, err
	}
	rest, err := io.Copy(io.Discard, io.LimitReader(zip, limit+1-n))
	if n += rest; n > limit || err != nil {
		return n, err
	}
	*buf = *bytes.NewBuffer(make([]byte, 0, n+bytes.MinRead))
	if err := zip.Reset(bytes.NewReader(b)); err != nil {
		return 0, err
	}
	return buf.ReadFrom(zip)
}

func (u *unpacker) giveBack() {
	if u.bufs[0].Cap() <= maxKept && u.bufs[1].Cap() <= maxKept {
		unpackers.Put(u)
	}
}

// readFile reads a file, a pipe or a device, of MaxUnpacked bytes at most, into buf.
func readFile(path string, buf *bytes.Buffer) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, fmt.Errorf("open %s: a directory", path)
	}
	buf.Reset()
	buf.Grow(int(min(st.Size(), usual)) + bytes.MinRead)
	b, err := readAll(f, buf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// readAll reads r to its end into b; ErrTooLarge where that is beyond MaxUnpacked.
func readAll(r io.Reader, b *bytes.Buffer) ([]byte, error) {
	if _, err := b.ReadFrom(io.LimitReader(r, usual+1)); err != nil || b.Len() <= usual {
		return b.Bytes(), err
	}
	head := b.Bytes()
	if err := plausible(head); err != nil {
		return nil, err
	}
	n, err := b.ReadFrom(io.LimitReader(r, MaxUnpacked+1-int64(len(head))))
	if err == nil && n+int64(len(head)) > MaxUnpacked {
		err = ErrTooLarge
	}
	return b.Bytes(), err
}
