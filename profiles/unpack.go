package profiles

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/google/pprof/profile"
	"github.com/klauspost/compress/gzip"
)

// unpacker parses profiles and keeps its buffers from one to the next: a trial has forty, most of the same size, and to
// unpack them into memory that grows took as long as to parse them. It is for one goroutine.
type unpacker struct {
	zip gzip.Reader
	buf bytes.Buffer
}

// maxKept is the largest buffer in bytes that an unpacker keeps.
const maxKept = 16 << 20

var unpackers = sync.Pool{New: func() any { return new(unpacker) }}

// parse parses a profile in any form that pprof knows, and gives u back to the pool. What is not a gzipped profile in
// protocol buffers is left to pprof, which knows the older forms and says what is wrong.
func (u *unpacker) parse(b []byte) (*profile.Profile, error) {
	defer u.giveBack()
	if u.zip.Reset(bytes.NewReader(b)) != nil {
		return profile.ParseData(b)
	}
	u.buf.Reset()
	if _, err := u.buf.ReadFrom(&u.zip); err != nil {
		return profile.ParseData(b)
	}
	p, err := profile.ParseUncompressed(u.buf.Bytes())
	if err != nil {
		return profile.ParseData(b)
	}
	if err := p.CheckValid(); err != nil {
		return nil, fmt.Errorf("malformed profile: %w", err)
	}
	return p, nil
}

func (u *unpacker) giveBack() {
	if u.buf.Cap() <= maxKept {
		unpackers.Put(u)
	}
}
