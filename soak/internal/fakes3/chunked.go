package fakes3

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/johannesboyne/gofakes3"
)

// Bounds of aws-chunked framing.
const (
	maxChunkLine    = 4 << 10
	maxTrailerLines = 32
)

// isChunked says whether a request's body is framed as aws-chunked: S3001: x-amz-content-sha256 starts with
// STREAMING- (signed or not, with trailers or without); a Content-Encoding of aws-chunked together with a decoded
// length says so too, for clients whose payload hash is of another kind.
func isChunked(h http.Header) bool {
	if strings.HasPrefix(h.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return true
	}
	return h.Get("X-Amz-Decoded-Content-Length") != "" && hasToken(h.Get("Content-Encoding"), "aws-chunked")
}

// chunkReader undoes aws-chunked framing. Signatures of chunks and trailers are read over, not checked (S3002: the
// sink trusts its clients; no key is known to it).
type chunkReader struct {
	in      *bufio.Reader
	left    int64 // of the current chunk
	total   int64 // content bytes so far
	size    int64 // the content's declared length
	begun   bool
	done    bool
	trailer http.Header // the trailing headers, after io.EOF
}

var lineBuffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxChunkLine) }}

func newChunkReader(in io.Reader, size int64) *chunkReader {
	br := lineBuffers.Get().(*bufio.Reader)
	br.Reset(in)
	return &chunkReader{in: br, size: size}
}

// release gives the buffer back. The reader must not be used after it.
func (c *chunkReader) release() {
	c.in.Reset(nil)
	lineBuffers.Put(c.in)
	c.in = nil
}

func malformed(format string, a ...any) error {
	return gofakes3.ErrorMessage(errInvalidReq, "aws-chunked body: "+fmt.Sprintf(format, a...))
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.left == 0 {
		if c.done {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	c.total += int64(n)
	return n, cutShort(err)
}

// next reads up to the next chunk's content, or to the end of the body.
func (c *chunkReader) next() error {
	if c.begun {
		line, err := c.line()
		if err != nil {
			return err
		}
		if len(line) > 0 {
			return malformed("a chunk is longer than its size says")
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	digits, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(digits, 16, 62)
	switch {
	case err != nil:
		return malformed("%q is not a chunk's size", shorten(digits))
	case int64(n) > c.size-c.total:
		return malformed("more content than the declared %d bytes", c.size)
	case n == 0:
		return c.end()
	}
	c.left = int64(n)
	return nil
}

// end reads what follows the last chunk: trailing headers, ended by the end of the body.
func (c *chunkReader) end() error {
	if c.total != c.size {
		return gofakes3.ErrorMessagef(gofakes3.ErrIncompleteBody, "the body has %d bytes of the declared %d", c.total, c.size)
	}
	c.trailer = http.Header{}
	for range maxTrailerLines {
		line, err := c.line()
		if line == "" && err != nil {
			if errors.Is(err, errShort) {
				c.done = true
				return nil
			}
			return err
		}
		if line == "" {
			continue // the blank line; minio-go has one before its trailer's signature as well
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return malformed("%q is not a trailing header", shorten(line))
		}
		c.trailer.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return malformed("more than %d trailing lines", maxTrailerLines)
}

// errShort is the end of the body where framing should have followed.
var errShort = gofakes3.ErrorMessage(gofakes3.ErrIncompleteBody, "aws-chunked body: it ends early")

func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return errShort
	}
	return err
}

// line reads a line without its end. The last one may lack the end.
func (c *chunkReader) line() (string, error) {
	b, err := c.in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", malformed("a line is longer than %d bytes", maxChunkLine)
	case err != nil && len(b) > 0 && errors.Is(err, io.EOF) && c.total == c.size:
		// a trailer without a final newline
	case err != nil:
		return "", cutShort(err)
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

// shorten makes client input fit for an error message.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}

// hasToken says whether a comma-separated header value has the token.
func hasToken(value, token string) bool {
	for t := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}

// dropToken removes the token from a comma-separated header value.
func dropToken(value, token string) string {
	var rest []string
	for t := range strings.SplitSeq(value, ",") {
		if t = strings.TrimSpace(t); t != "" && !strings.EqualFold(t, token) {
			rest = append(rest, t)
		}
	}
	return strings.Join(rest, ", ")
}
