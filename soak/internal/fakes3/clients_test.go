package fakes3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// requireStored demands that the sink has exactly data under the key, whole or in parts.
func requireStored(t *testing.T, s *sink, key string, data []byte) {
	t.Helper()
	got := s.entries(t, "?bucket=bucket&prefix="+url.QueryEscape(key))
	require.NotEmpty(t, got, key)
	require.Equal(t, key, got[0].Key) // the first of those with this prefix
	require.Equal(t, int64(len(data)), got[0].Size, key)
	if got[0].Parts == nil {
		require.Equal(t, md5hex(data), got[0].MD5, key)
		return
	}
	sums, parts := md5.New(), 0
	for _, run := range got[0].Parts {
		for range run.Count {
			sum := md5.Sum(data[:run.Size])
			data, parts = data[run.Size:], parts+1
			sums.Write(sum[:])
		}
	}
	require.Empty(t, data)
	require.Equal(t, fmt.Sprintf("%s-%d", hex.EncodeToString(sums.Sum(nil)), parts), got[0].ETag, key)
}

// onlyReader can't seek, so that a client must frame the body to sign or check it.
type onlyReader struct{ io.Reader }

// sizes are the bodies of the conformance tests: empty, tiny, around the size of a chunk, several chunks.
var sizes = []int{0, 1, 65535, 65536, 65537, 1<<20 + 3}

func TestAWSSDKPutObject(t *testing.T) {
	eachScheme(t, func(t *testing.T, s *sink, c *s3.Client) {
		for _, n := range sizes {
			data := content(n)
			sum := md5.Sum(data)
			inputs := map[string]*s3.PutObjectInput{
				"default": {},
				"md5":     {ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:]))},
			}
			for _, a := range types.ChecksumAlgorithm("").Values() {
				inputs[string(a)] = &s3.PutObjectInput{ChecksumAlgorithm: a}
			}
			for name, in := range inputs {
				in.Bucket, in.Key, in.Body = aws.String("bucket"), aws.String("aws/"+name), bytes.NewReader(data)
				if _, err := c.PutObject(t.Context(), in); err != nil {
					// Algorithms that the SDK itself can't compute never reach the sink.
					require.NotContains(t, err.Error(), "StatusCode: ", "%s: %v", name, err)
					continue
				}
				requireStored(t, s, "aws/"+name, data)
			}
		}
	})
}

func TestAWSSDKPutObjectOfAStream(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTPS)
	for _, n := range sizes[1:] {
		data := content(n)
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("stream"),
			Body: onlyReader{bytes.NewReader(data)}, ContentLength: aws.Int64(int64(n))})
		require.NoError(t, err)
		requireStored(t, s, "stream", data)
	}
}

func TestAWSTransferManager(t *testing.T) {
	eachScheme(t, func(t *testing.T, s *sink, c *s3.Client) {
		data := content(23<<20 + 11)
		m := transfermanager.New(c,
			func(o *transfermanager.Options) { o.PartSizeBytes = 5 << 20; o.MultipartUploadThreshold = 5 << 20 })
		for name, body := range map[string]io.Reader{"seek": bytes.NewReader(data),
			"stream": onlyReader{bytes.NewReader(data)}} {
			_, err := m.UploadObject(t.Context(), &transfermanager.UploadObjectInput{
				Bucket: aws.String("bucket"), Key: aws.String("tm/" + name), Body: body})
			require.NoError(t, err, name)
			requireStored(t, s, "tm/"+name, data)
		}
	})
}

// minioClient is a minio-go client; trailing makes it send checksums in trailers.
func minioClient(t *testing.T, s *sink, endpoint string, trailing bool) *minio.Client {
	t.Helper()
	u, err := url.Parse(endpoint)
	require.NoError(t, err)
	pem, err := os.ReadFile(s.CAFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4("id", "secret", ""),
		Secure: u.Scheme == "https",
		Region: "us-east-1", TrailingHeaders: trailing, MaxRetries: 1, Transport: tr})
	require.NoError(t, err)
	return c
}

func TestMinioClient(t *testing.T) {
	s := start(t, fakes3.Config{})
	for _, endpoint := range []string{s.HTTP, s.HTTPS} {
		for _, trailing := range []bool{false, true} {
			c := minioClient(t, s, endpoint, trailing)
			for _, n := range append(sizes, 11<<20) {
				data := content(n)
				for name, o := range map[string]minio.PutObjectOptions{
					"default":  {PartSize: 5 << 20},
					"md5":      {PartSize: 5 << 20, SendContentMd5: true},
					"nosha256": {PartSize: 5 << 20, DisableContentSha256: true},
					"whole":    {DisableMultipart: true},
					"crc64":    {PartSize: 5 << 20, Checksum: minio.ChecksumCRC64NVME},
					"sha256":   {PartSize: 5 << 20, Checksum: minio.ChecksumSHA256},
				} {
					if (name == "crc64" || name == "sha256") && !trailing {
						continue // minio-go wants trailers for these
					}
					what := fmt.Sprintf("%s trailing=%v %s %d", endpoint, trailing, name, n)
					_, err := c.PutObject(t.Context(), "bucket", "minio/"+name, bytes.NewReader(data), int64(n), o)
					require.NoError(t, err, what)
					requireStored(t, s, "minio/"+name, data)
				}
			}
			data := content(11 << 20)
			_, err := c.PutObject(t.Context(), "bucket", "minio/unknown", onlyReader{bytes.NewReader(data)}, -1,
				minio.PutObjectOptions{PartSize: 5 << 20})
			require.NoError(t, err)
			requireStored(t, s, "minio/unknown", data)
			found := 0
			for o := range c.ListObjects(t.Context(), "bucket", minio.ListObjectsOptions{Prefix: "minio/", Recursive: true}) {
				require.NoError(t, o.Err)
				found++
			}
			require.GreaterOrEqual(t, found, 5)
		}
	}
}

func TestCopyReplacesOrKeepsMetadata(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	bucket := aws.String("bucket")
	put, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("a b+c"),
		Body:     bytes.NewReader(content(10)),
		Metadata: map[string]string{"one": "1"}})
	require.NoError(t, err)
	metadata := func(key string) map[string]string {
		h, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String(key)})
		require.NoError(t, err)
		require.Equal(t, *put.ETag, *h.ETag)
		require.Equal(t, int64(10), *h.ContentLength)
		return h.Metadata
	}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("kept"),
		CopySource: aws.String("bucket/a%20b%2Bc")})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"one": "1"}, metadata("kept"))
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("kept"),
		CopySource:        aws.String("bucket/kept"),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"two": "2"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"two": "2"}, metadata("kept"))
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("kept"),
		CopySource: aws.String("bucket/kept")})
	require.Equal(t, "InvalidRequest", code(err))
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("x"),
		CopySource: aws.String("bucket/none")})
	require.Equal(t, "NoSuchKey", code(err))
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: bucket, Key: aws.String("x"),
		CopySource:        aws.String("bucket/kept"),
		CopySourceIfMatch: aws.String(`"other"`)})
	require.Equal(t, "PreconditionFailed", code(err))
}

func TestConditionalWrites(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	put := func(ifNone, ifMatch *string) (string, error) {
		out, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"),
			Body: bytes.NewReader(content(10)), IfNoneMatch: ifNone, IfMatch: ifMatch})
		if err != nil {
			return "", err
		}
		return *out.ETag, nil
	}
	_, err := put(nil, aws.String("x"))
	require.Equal(t, "NoSuchKey", code(err))
	tag, err := put(aws.String("*"), nil)
	require.NoError(t, err)
	_, err = put(aws.String("*"), nil)
	require.Equal(t, "PreconditionFailed", code(err))
	_, err = put(nil, aws.String(`"other"`))
	require.Equal(t, "PreconditionFailed", code(err))
	_, err = put(nil, aws.String(tag))
	require.NoError(t, err)

	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"),
		Key: aws.String("k")})
	require.NoError(t, err)
	p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String("bucket"), Key: aws.String("k"),
		UploadId:   up.UploadId,
		PartNumber: aws.Int32(1), Body: bytes.NewReader(content(5))})
	require.NoError(t, err)
	complete := &s3.CompleteMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("k"), UploadId: up.UploadId,
		IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1),
			ETag: p.ETag}}}}
	_, err = c.CompleteMultipartUpload(t.Context(), complete)
	require.Equal(t, "PreconditionFailed", code(err))
}

func TestConditionalReads(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	put, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"),
		Body: bytes.NewReader(nil)})
	require.NoError(t, err)
	head := func(h http.Header) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, s.HTTP+"/bucket/k", nil)
		require.NoError(t, err)
		req.Header = h
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, 304, head(http.Header{"If-None-Match": {*put.ETag}}))
	require.Equal(t, 200, head(http.Header{"If-None-Match": {`"other"`}}))
	require.Equal(t, 412, head(http.Header{"If-Match": {`"other"`}}))
	require.Equal(t, 200, head(http.Header{"If-Match": {`"other", ` + *put.ETag}}))
	const past, future = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
	require.Equal(t, 304, head(http.Header{"If-Modified-Since": {future}}))
	require.Equal(t, 200, head(http.Header{"If-Modified-Since": {past}}))
	require.Equal(t, 412, head(http.Header{"If-Unmodified-Since": {past}}))
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	require.NoError(t, err, "an empty object can be read: its content is known")
	out.Body.Close()
}

func TestMultipartRefusals(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTPS)
	bucket, key := aws.String("bucket"), aws.String("k")
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	require.NoError(t, err)
	var tags []types.CompletedPart
	for i, n := range []int{5<<20 - 1, 10} {
		p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId,
			PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(content(n))})
		require.NoError(t, err)
		tags = append(tags, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.ETag})
	}
	complete := func(parts ...types.CompletedPart) error {
		_, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key,
			UploadId:        up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		return err
	}
	err = complete(tags...)
	require.Equal(t, "EntityTooSmall", code(err))
	require.ErrorContains(t, err, "StatusCode: 400")
	require.Equal(t, "InvalidPartOrder", code(complete(tags[1], tags[0])))
	require.Equal(t, "InvalidPart", code(complete(types.CompletedPart{PartNumber: aws.Int32(1), ETag: tags[1].ETag})))
	require.Equal(t, "InvalidPart", code(complete(types.CompletedPart{PartNumber: aws.Int32(9), ETag: tags[1].ETag})))
	require.NoError(t, complete(tags[1]), "a single part may be small, and unnamed parts are dropped")
	require.Equal(t, "NoSuchUpload", code(complete(tags[1])))
	requireStored(t, s, "k", content(10))

	up, err = c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	require.NoError(t, err)
	list, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: bucket})
	require.NoError(t, err)
	require.Len(t, list.Uploads, 1)
	_, err = c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket, Key: key,
		UploadId: up.UploadId})
	require.NoError(t, err)
	require.Equal(t, "NoSuchUpload", code(complete(tags[1])))
}

func TestClearRefusals(t *testing.T) {
	s := start(t, fakes3.Config{MaxPut: 1000})
	c := s.client(t, s.HTTP)
	put := func(in *s3.PutObjectInput) error {
		if in.Bucket == nil {
			in.Bucket = aws.String("bucket")
		}
		in.Key = aws.String("k")
		_, err := c.PutObject(t.Context(), in)
		return err
	}
	require.Equal(t, "EntityTooLarge", code(put(&s3.PutObjectInput{Body: bytes.NewReader(content(1001))})))
	require.Equal(t, "NoSuchBucket", code(put(&s3.PutObjectInput{Bucket: aws.String("none"),
		Body: bytes.NewReader(content(10))})))
	require.Equal(t, "MetadataTooLarge",
		code(put(&s3.PutObjectInput{Metadata: map[string]string{"a": string(bytes.Repeat([]byte("x"), 2048))}})))
	require.NoError(t, put(&s3.PutObjectInput{Metadata: map[string]string{"a": string(bytes.Repeat([]byte("x"), 2047))}}))
	zero := base64.StdEncoding.EncodeToString(make([]byte, 16))
	require.Equal(t, "BadDigest", code(put(&s3.PutObjectInput{Body: bytes.NewReader(content(10)), ContentMD5: &zero})))
	_, err := c.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: aws.String("bucket"), Key: aws.String("k"),
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
	require.Equal(t, "NotImplemented", code(err))
	_, err = c.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	require.Equal(t, "NotImplemented", code(err))
	got := s.entries(t, "")
	require.Len(t, got, 1)
	require.Zero(t, got[0].Size, "what was refused left nothing behind, and a tagging didn't replace the object")
	counters, err := s.admin.Counters(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(2), counters.NotUnderstood)
}

func TestResetOfTheSink(t *testing.T) {
	s := start(t, fakes3.Config{Buckets: []string{"other"}})
	c := s.client(t, s.HTTP)
	for _, b := range []string{"bucket", "other"} {
		for _, k := range []string{"a/1", "a/2", "b/1"} {
			_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(b), Key: aws.String(k),
				Body: bytes.NewReader(content(7))})
			require.NoError(t, err)
		}
	}
	var out struct{ Deleted int }
	require.NoError(t, s.admin.Do(t.Context(), http.MethodDelete, "objects?bucket=bucket&prefix=a/", nil, &out))
	require.Equal(t, 2, out.Deleted)
	require.Len(t, s.entries(t, ""), 4)
	require.Error(t, s.admin.Do(t.Context(), http.MethodDelete, "objects?bucket=none", nil, nil))
	require.NoError(t, s.admin.Do(t.Context(), http.MethodDelete, "objects", nil, &out))
	require.Equal(t, 4, out.Deleted)
	require.Empty(t, s.entries(t, ""))
	resp, err := http.Get(s.Admin + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Contains(t, string(b), "\nfakes3_objects 0\n")
	require.Contains(t, string(b), "\nfakes3_transferred_bytes_total 42\n")
	require.Contains(t, string(b), "\nfakes3_distinct_files_total 6\n")
}

// A file that comes in parts is one transfer, and done when it is complete: all memory per transfer and per file
// depends on it.
func TestPartsOfAFileAreOneTransfer(t *testing.T) {
	s := start(t, fakes3.Config{MinPart: 1000})
	c := s.client(t, s.HTTPS)
	hold, err := s.admin.Hold(t.Context(), fault.Hold{Point: fault.UploadReply})
	require.NoError(t, err)
	m := transfermanager.New(c, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold, o.Concurrency = 1000, 1000, 4
	})
	done := make(chan error, 2)
	for _, key := range []string{"a", "b"} {
		go func() {
			_, err := m.UploadObject(context.WithoutCancel(t.Context()), &transfermanager.UploadObjectInput{
				Bucket: aws.String("bucket"), Key: &key, Body: onlyReader{bytes.NewReader(content(4000))}})
			done <- err
		}()
	}
	_, err = s.admin.WaitArrived(t.Context(), hold.ID, 8, 10*time.Second)
	require.NoError(t, err)
	v := s.Control.Counters()
	require.EqualValues(t, 8, v.InFlight)
	require.EqualValues(t, 2, v.FilesInFlight)
	require.Zero(t, v.FilesFinished)
	require.NoError(t, s.admin.ReleaseAll(t.Context()))
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	v = s.Control.Counters()
	require.EqualValues(t, 8, v.Finished)
	require.EqualValues(t, 2, v.FilesFinished)
	require.Zero(t, v.FilesInFlight)
}

// A store that is scaled down takes smaller parts, but none smaller than it says.
func TestMinPartIsASetting(t *testing.T) {
	s := start(t, fakes3.Config{MinPart: 1000})
	c := s.client(t, s.HTTPS)
	bucket := aws.String("bucket")
	upload := func(key string, first int) error {
		up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key})
		require.NoError(t, err)
		var parts []types.CompletedPart
		for i, n := range []int{first, 10} {
			p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: &key, UploadId: up.UploadId,
				PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(content(n))})
			require.NoError(t, err)
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.ETag})
		}
		_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: &key,
			UploadId:        up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		return err
	}
	require.NoError(t, upload("large-enough", 1000))
	require.Equal(t, "EntityTooSmall", code(upload("too-small", 999)))
}
