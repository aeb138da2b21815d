package testsubject

import (
	"bytes"
	"compress/gzip"
	"io"
	"sync"
)

// bombParts times 64 MiB are 4 GiB.
const bombParts = 64

// bomb is 64 MiB of zeros, compressed. One after the other is a stream of them all.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.CopyN(z, zeros{}, 64<<20) // a buffer takes all of it
	_ = z.Close()
	return b.Bytes()
})

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
