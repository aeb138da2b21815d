package fakes3

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/johannesboyne/gofakes3"
	"github.com/zeebo/xxh3"
)

// checksumPrefix starts the headers, and the trailing headers, that carry a checksum of the body.
const checksumPrefix = "X-Amz-Checksum-"

// checksums are S3's algorithms by the canonical end of their header. Values are base64 of the sum, high byte first.
var checksums = map[string]func() hash.Hash{
	"Crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"Crc64nvme": func() hash.Hash { return crc64.New(nvme) },
	"Sha1":      sha1.New,
	"Sha256":    sha256.New,
	"Sha512":    sha512.New,
	"Md5":       md5.New,
	"Xxhash64":  func() hash.Hash { return xxhash.New() },
	"Xxhash3":   func() hash.Hash { return xxh3.New() },
	"Xxhash128": func() hash.Hash { return xxh128{xxh3.New()} },
}

// nvme is the polynomial that NVMe and S3 use, as package crc64 takes it: its lowest bit is the highest power.
// Source: NVM Command Set Specification 1.0, 5.2.1.3.4
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

// xxh128 is the 128-bit sum of XXH3.
type xxh128 struct{ *xxh3.Hasher }

func (x xxh128) Size() int { return 16 }
func (x xxh128) Sum(b []byte) []byte {
	sum := x.Sum128().Bytes()
	return append(b, sum[:]...)
}

// notAlgorithm are headers that start like a checksum and say something about it.
var notAlgorithm = []string{"Algorithm", "Type", "Mode"}

// check is one sum that the content must have.
type check struct {
	header string
	hash   hash.Hash
	want   []byte // nil: it comes in the trailer
	code   gofakes3.ErrorCode
}

// checkReader passes a body on and, at its end, demands the sums that the client has declared for it.
type checkReader struct {
	in      io.Reader
	checks  []check
	trailer func() http.Header
	sums    http.Header // the sums, once the end was reached and all were right
}

// S3004: a checksum may stand in a header or, announced in x-amz-trailer, in the trailer; a body that has another is
// refused with BadDigest, one whose announced checksum is missing with MalformedTrailerError.
func newCheckReader(in io.Reader, h http.Header, trailer func() http.Header) (*checkReader, error) {
	c := &checkReader{in: in, trailer: trailer, sums: http.Header{}}
	for name := range h {
		algorithm, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok || slices.Contains(notAlgorithm, algorithm) {
			continue
		}
		if err := c.declare(name, algorithm, h.Get(name), true); err != nil {
			return nil, err
		}
	}
	for name := range strings.SplitSeq(h.Get("X-Amz-Trailer"), ",") {
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		algorithm, ok := strings.CutPrefix(name, checksumPrefix)
		if !ok {
			continue
		}
		if err := c.declare(name, algorithm, "", false); err != nil {
			return nil, err
		}
	}
	// A hash in x-amz-content-sha256 is of the body as it was sent.
	if want, err := hex.DecodeString(h.Get("X-Amz-Content-Sha256")); err == nil && len(want) == sha256.Size {
		c.checks = append(c.checks, check{"X-Amz-Content-Sha256", sha256.New(), want, "XAmzContentSHA256Mismatch"})
	}
	return c, nil
}

// declare adds a sum to be checked.
func (c *checkReader) declare(header, algorithm, value string, known bool) error {
	newHash, ok := checksums[algorithm]
	if !ok {
		return gofakes3.ErrorMessagef(gofakes3.ErrNotImplemented, "checksum algorithm of %s is not known",
			strings.ToLower(header))
	}
	k := check{header: header, hash: newHash(), code: gofakes3.ErrBadDigest}
	if known {
		var err error
		if k.want, err = decodeSum(header, value, k.hash.Size()); err != nil {
			return err
		}
	}
	c.checks = append(c.checks, k)
	return nil
}

func decodeSum(header, value string, size int) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(b) != size {
		return nil, gofakes3.ErrorMessagef(errInvalidReq, "value of %s is invalid", strings.ToLower(header))
	}
	return b, nil
}

func (c *checkReader) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	for i := range c.checks {
		c.checks[i].hash.Write(p[:n])
	}
	if errors.Is(err, io.EOF) {
		if bad := c.verify(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// verify compares the sums at the end of the body.
func (c *checkReader) verify() error {
	for _, k := range c.checks {
		got, want := k.hash.Sum(nil), k.want
		if want == nil {
			value := c.trailer().Get(k.header)
			if value == "" {
				return gofakes3.ErrorMessagef("MalformedTrailerError", "the announced trailer %s is missing",
					strings.ToLower(k.header))
			}
			var err error
			if want, err = decodeSum(k.header, value, len(got)); err != nil {
				return err
			}
		}
		if !bytes.Equal(got, want) {
			return gofakes3.ErrorMessagef(k.code, "%s: the body has %s, not %s", strings.ToLower(k.header),
				base64.StdEncoding.EncodeToString(got), base64.StdEncoding.EncodeToString(want))
		}
		if strings.HasPrefix(k.header, checksumPrefix) {
			c.sums.Set(k.header, base64.StdEncoding.EncodeToString(got))
		}
	}
	return nil
}
