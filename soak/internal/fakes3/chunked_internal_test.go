package fakes3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/stretchr/testify/require"
)

// frame writes content as aws-chunked in chunks of n bytes.
func frame(content []byte, n int, signed bool, trailer string) string {
	ext := ""
	if signed {
		ext = ";chunk-signature=" + strings.Repeat("a", 64)
	}
	var b strings.Builder
	for len(content) > 0 {
		k := min(n, len(content))
		fmt.Fprintf(&b, "%x%s\r\n%s\r\n", k, ext, content[:k])
		content = content[k:]
	}
	return b.String() + "0" + ext + "\r\n" + trailer + "\r\n"
}

func decode(in io.Reader, size int64) ([]byte, http.Header, error) {
	c := newChunkReader(in, size)
	defer c.release()
	b, err := io.ReadAll(c)
	return b, c.trailer, err
}

func TestChunkedVariants(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 700)
	for _, signed := range []bool{false, true} {
		for _, n := range []int{1, 15, 4096, 1 << 20} {
			for _, trailer := range []string{
				"",
				"x-amz-checksum-crc32:AAAAAA==\r\n",
				"x-amz-checksum-crc32: AAAAAA==\r\nx-amz-trailer-signature:" + strings.Repeat("b", 64) + "\r\n",
				"x-amz-checksum-crc32:AAAAAA==\n\r\nx-amz-trailer-signature:" + strings.Repeat("b", 64) + "\r\n\r\n", // minio-go
				"x-amz-checksum-crc32:AAAAAA==",
			} {
				text := frame(content, n, signed, trailer)
				for _, in := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)),
					iotest.DataErrReader(strings.NewReader(text))} {
					b, h, err := decode(in, int64(len(content)))
					require.NoError(t, err)
					require.Equal(t, content, b)
					if trailer != "" {
						require.Equal(t, "AAAAAA==", h.Get("X-Amz-Checksum-Crc32"))
					}
				}
			}
		}
	}
}

func TestChunkedRefusals(t *testing.T) {
	for text, want := range map[string]gofakes3.ErrorCode{
		"":                              gofakes3.ErrIncompleteBody,
		"5\r\nhel":                      gofakes3.ErrIncompleteBody,
		"5\r\nhello":                    gofakes3.ErrIncompleteBody,
		"5\r\nhello\r\n":                gofakes3.ErrIncompleteBody,
		"4\r\nhell\r\n0\r\n\r\n":        gofakes3.ErrIncompleteBody,
		"6\r\nhello!\r\n0\r\n\r\n":      errInvalidReq,
		"5\r\nhello!!\r\n0\r\n\r\n":     errInvalidReq,
		"-5\r\nhello\r\n0\r\n\r\n":      errInvalidReq,
		"zz\r\nhello\r\n0\r\n\r\n":      errInvalidReq,
		"ffffffffffffffff\r\nhello\r\n": errInvalidReq,
		"7fffffffffffffff\r\nhello\r\n": errInvalidReq,
		"5\r\nhello\r\n0\r\nnoise\r\n":  errInvalidReq,
		"5\r\nhello\r\n0\r\n" + strings.Repeat("a:b\r\n", 100):   errInvalidReq,
		"5;" + strings.Repeat("x", 10000) + "\r\nhello\r\n0\r\n": errInvalidReq,
	} {
		_, _, err := decode(strings.NewReader(text), 5)
		var s3 gofakes3.Error
		require.True(t, errors.As(err, &s3), "%q: %v", text, err)
		require.Equal(t, want, s3.ErrorCode(), "%q: %v", text, err)
	}
	boom := errors.New("boom")
	_, _, err := decode(io.MultiReader(strings.NewReader("5\r\nhe"), iotest.ErrReader(boom)), 5)
	require.ErrorIs(t, err, boom)
}

// FuzzChunkReader checks that whatever a client sends, the decoder ends, gives at most the declared bytes, and gives
// them without error only if the framing says so.
func FuzzChunkReader(f *testing.F) {
	f.Add([]byte(frame([]byte("hello"), 3, true, "x-amz-checksum-crc32:AAAAAA==\r\n")), int64(5))
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), int64(5))
	f.Add([]byte("0\r\n"), int64(0))
	f.Fuzz(func(t *testing.T, text []byte, size int64) {
		if size < 0 {
			return // refused before a decoder is made
		}
		b, _, err := decode(bytes.NewReader(text), size)
		require.LessOrEqual(t, int64(len(b)), size)
		require.LessOrEqual(t, len(b), len(text))
		if err == nil {
			require.Equal(t, size, int64(len(b)))
			again, _, err := decode(iotest.OneByteReader(bytes.NewReader(text)), size)
			require.NoError(t, err)
			require.Equal(t, b, again)
		}
	})
}

func TestListerAgainstThePlainDefinition(t *testing.T) {
	st := newStore()
	b := &backend{store: st, uploads: newUploads(MinPart), created: func() {}, now: nowForTest}
	require.NoError(t, b.CreateBucket("bucket"))
	keys := []string{"/", "//", "a", "a/", "a/b", "a/b/c", "a/c", "a0", "b\xff", "b\xff\xff/x", "b\xff\xff0", "\xff/1",
		"\xff/2", "\xff0", "ü/1", "ü/2", "z"}
	for _, k := range keys {
		_, err := st.put("bucket", &Object{Key: k}, nil)
		require.NoError(t, err)
	}
	for _, prefix := range []string{"", "a", "a/", "/", "b\xff", "\xff", "ü", "none"} {
		for _, delimiter := range []string{"", "/", "b", "\xff"} {
			want := plainList(keys, prefix, delimiter)
			for _, n := range []int64{1, 2, 3, 100} {
				var got []string
				page := gofakes3.ListBucketPage{MaxKeys: n}
				for {
					l, err := b.ListBucket("bucket", &gofakes3.Prefix{Prefix: prefix, Delimiter: delimiter}, page)
					require.NoError(t, err)
					require.LessOrEqual(t, int64(len(l.Contents)+len(l.CommonPrefixes)), n)
					for _, c := range l.Contents {
						got = append(got, c.Key)
					}
					for _, p := range l.CommonPrefixes {
						got = append(got, p.Prefix)
					}
					if !l.IsTruncated {
						break
					}
					page.Marker, page.HasMarker = l.NextMarker, true
				}
				require.ElementsMatch(t, want, got, "prefix %q delimiter %q page %d", prefix, delimiter, n)
			}
		}
	}
}

func nowForTest() time.Time { return time.Date(2026, 11, 23, 1, 2, 3, 4, time.UTC) }

// plainList is what a listing has, by the words of S3's documentation.
func plainList(keys []string, prefix, delimiter string) (out []string) {
	seen := map[string]bool{}
	for _, k := range keys {
		rest, ok := strings.CutPrefix(k, prefix)
		if !ok {
			continue
		}
		if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
			k = prefix + rest[:i+len(delimiter)]
		}
		if !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

func TestRecordKeepsTheObject(t *testing.T) {
	for _, o := range []*Object{
		{Key: "k", Headers: map[string]string{}},
		{Key: "k", Size: 1 << 50, ModTime: nowForTest(), MD5: [16]byte{1, 2, 255}, Parts: []PartRun{{5 << 20, 9999}, {1, 1}},
			Headers: map[string]string{"Content-Type": "", "X-Amz-Meta-A": "ü ,", "X-Amz-Meta-B": "x"}},
	} {
		if o.ModTime.IsZero() {
			o.ModTime = nowForTest()
		}
		got := pack(o).object("k")
		require.True(t, o.ModTime.Equal(got.ModTime))
		got.ModTime = o.ModTime
		require.Equal(t, o, got)
	}
}
