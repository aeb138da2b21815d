package fakes3_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// sink is a running sink with a bucket named "bucket".
type sink struct {
	*fakes3.Server
	fault.Addresses
	admin *fault.Client
}

// start serves a sink on loopback until the test ends.
func start(t *testing.T, cfg fakes3.Config) *sink {
	t.Helper()
	cfg.Buckets = append(cfg.Buckets, "bucket")
	srv, err := fakes3.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan fault.Addresses, 1)
	done := make(chan error, 1)
	go func() {
		done <- srv.Serve(ctx, fakes3.ServeConfig{
			Listen: "127.0.0.1:0", TLSListen: "127.0.0.1:0", CAFile: filepath.Join(t.TempDir(), "ca.pem"),
			Ready: func(a fault.Addresses) { ready <- a },
		})
	}()
	s := &sink{Server: srv}
	select {
	case s.Addresses = <-ready:
	case err := <-done:
		require.NoError(t, err)
	}
	s.admin = fault.NewClient(s.Admin)
	t.Cleanup(func() {
		s.admin.Close()
		cancel()
		require.NoError(t, <-done)
	})
	return s
}

// client is an AWS client with the SDK's defaults but for the endpoint and a single attempt.
func (s *sink) client(t *testing.T, endpoint string, opts ...func(*s3.Options)) *s3.Client {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	require.NoError(t, err)
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"),
		config.WithCredentialsProvider(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		})),
		config.WithCustomCABundle(bytes.NewReader(pem)), config.WithRetryMaxAttempts(1),
		config.WithSharedConfigFiles(nil), config.WithSharedCredentialsFiles(nil))
	require.NoError(t, err)
	if c, ok := cfg.HTTPClient.(*awshttp.BuildableClient); ok {
		t.Cleanup(func() { c.GetTransport().CloseIdleConnections() })
	}
	return s3.NewFromConfig(cfg, append([]func(*s3.Options){func(o *s3.Options) {
		o.BaseEndpoint, o.UsePathStyle = aws.String(endpoint), true
	}}, opts...)...)
}

// entries reads what the sink has.
func (s *sink) entries(t *testing.T, query string) []fakes3.Entry {
	t.Helper()
	resp, err := http.Get(s.Admin + fault.AdminPrefix + "objects" + query)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var all []fakes3.Entry
	for dec := json.NewDecoder(resp.Body); ; {
		var e fakes3.Entry
		if err := dec.Decode(&e); err == io.EOF {
			return all
		}
		require.NoError(t, err)
		all = append(all, e)
	}
}

func md5hex(b []byte) string {
	sum := md5.Sum(b)
	return hex.EncodeToString(sum[:])
}

// content is n bytes that are not the same everywhere.
func content(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// code is the error code that S3 answered with.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// eachScheme runs f over http and over https, where the SDK frames and checks bodies differently.
func eachScheme(t *testing.T, f func(t *testing.T, s *sink, c *s3.Client)) {
	s := start(t, fakes3.Config{})
	for _, endpoint := range []string{s.HTTP, s.HTTPS} {
		u, err := url.Parse(endpoint)
		require.NoError(t, err)
		t.Run(u.Scheme, func(t *testing.T) { f(t, s, s.client(t, endpoint)) })
	}
}

func TestPutObjectKeepsSizeSumAndMetadata(t *testing.T) {
	eachScheme(t, func(t *testing.T, s *sink, c *s3.Client) {
		for _, n := range []int{0, 1, 65536, 3<<20 + 17} {
			data := content(n)
			put, err := c.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("bucket"), Key: aws.String("a/ü b.txt"), Body: bytes.NewReader(data),
				ContentType: aws.String("text/plain"), Metadata: map[string]string{"drive-id": "x1"},
			})
			require.NoError(t, err)
			require.Equal(t, `"`+md5hex(data)+`"`, *put.ETag)

			head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("bucket"),
				Key: aws.String("a/ü b.txt")})
			require.NoError(t, err)
			require.Equal(t, int64(n), *head.ContentLength)
			require.Equal(t, *put.ETag, *head.ETag)
			require.Equal(t, "text/plain", *head.ContentType)
			require.Equal(t, map[string]string{"drive-id": "x1"}, head.Metadata)

			got := s.entries(t, "?bucket=bucket")
			require.Len(t, got, 1)
			require.Equal(t, "a/ü b.txt", got[0].Key)
			require.Equal(t, int64(n), got[0].Size)
			require.Equal(t, md5hex(data), got[0].MD5)
			require.Equal(t, map[string]string{"drive-id": "x1"}, got[0].Metadata)
		}
	})
}

func TestMultipartETagIsMadeOfThePartsSums(t *testing.T) {
	eachScheme(t, func(t *testing.T, s *sink, c *s3.Client) {
		bucket, key := aws.String("bucket"), aws.String("big")
		up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key,
			Metadata: map[string]string{"drive-id": "x2"}})
		require.NoError(t, err)
		sums := md5.New()
		var parts []types.CompletedPart
		for i, n := range []int{5 << 20, 5 << 20, 1000} {
			data := content(n)
			sum := md5.Sum(data)
			sums.Write(sum[:])
			p, err := c.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId,
				PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(data)})
			require.NoError(t, err)
			require.Equal(t, `"`+md5hex(data)+`"`, *p.ETag)
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.ETag})
		}
		listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: up.UploadId})
		require.NoError(t, err)
		require.Len(t, listed.Parts, 3)
		done, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key,
			UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		require.NoError(t, err)
		want := hex.EncodeToString(sums.Sum(nil)) + "-3"
		require.Equal(t, `"`+want+`"`, *done.ETag)
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
		require.NoError(t, err)
		require.Equal(t, `"`+want+`"`, *head.ETag)
		require.Equal(t, int64(10<<20+1000), *head.ContentLength)
		require.Equal(t, map[string]string{"drive-id": "x2"}, head.Metadata)
		e := s.entries(t, "")[0]
		require.Empty(t, e.MD5, "the sum of the whole content is not known")
		require.Equal(t, want, e.ETag)
		require.Equal(t, []fakes3.PartRun{{Size: 5 << 20, Count: 2}, {Size: 1000, Count: 1}}, e.Parts)
	})
}

func TestListPagesWithPrefixAndDelimiter(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	keys := []string{"a", "b/1", "b/2", "b/c/3", "b0", "d/e/4", "z"}
	for _, k := range keys {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(k),
			Body: strings.NewReader(k)})
		require.NoError(t, err)
	}
	list := func(prefix, delimiter string, pageSize int32) (found []string) {
		p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String("bucket"),
			Prefix: aws.String(prefix), Delimiter: aws.String(delimiter), MaxKeys: aws.Int32(pageSize)})
		for p.HasMorePages() {
			page, err := p.NextPage(t.Context())
			require.NoError(t, err)
			for _, o := range page.Contents {
				found = append(found, *o.Key)
			}
			for _, cp := range page.CommonPrefixes {
				found = append(found, *cp.Prefix)
			}
		}
		return found
	}
	for _, n := range []int32{1, 2, 3, 1000} {
		require.Equal(t, keys, list("", "", n))
		require.ElementsMatch(t, []string{"a", "b/", "b0", "d/", "z"}, list("", "/", n))
		require.ElementsMatch(t, []string{"b/1", "b/2", "b/c/"}, list("b/", "/", n))
		require.ElementsMatch(t, []string{"b/", "b0"}, list("b", "/", n))
		require.Empty(t, list("nothing", "/", n))
	}
}

func TestListEncodesKeysOnDemand(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	odd := "d/a b+c%2F/\x01&ü"
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(odd),
		Body: strings.NewReader("x")})
	require.NoError(t, err)
	for _, delimiter := range []string{"", "/"} {
		v1, err := c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: aws.String("bucket"), Prefix: aws.String("d/a b+"),
			Delimiter: aws.String(delimiter), EncodingType: types.EncodingTypeUrl})
		require.NoError(t, err)
		v2, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket"),
			Prefix:    aws.String("d/a b+"),
			Delimiter: aws.String(delimiter), EncodingType: types.EncodingTypeUrl})
		require.NoError(t, err)
		require.Equal(t, types.EncodingTypeUrl, v2.EncodingType)
		var got []string
		for _, o := range append(v1.Contents, v2.Contents...) {
			got = append(got, *o.Key)
		}
		for _, p := range append(v1.CommonPrefixes, v2.CommonPrefixes...) {
			got = append(got, *p.Prefix)
		}
		require.Len(t, got, 2)
		for _, k := range got {
			plain, err := url.QueryUnescape(k)
			require.NoError(t, err)
			require.Equal(t, map[string]string{"": odd, "/": "d/a b+c%2F/"}[delimiter], plain)
		}
		require.Equal(t, "d/a+b%2B", *v2.Prefix)
	}
	_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket"), EncodingType: "base64"})
	require.Equal(t, "InvalidArgument", code(err))
	_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket"),
		ContinuationToken: aws.String("?")})
	require.Equal(t, "InvalidArgument", code(err))
	_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("none")})
	require.Equal(t, "NoSuchBucket", code(err))
}

func TestBuckets(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	for range 2 {
		_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("second")})
		require.NoError(t, err)
	}
	all, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	require.NoError(t, err)
	require.Len(t, all.Buckets, 2)
	_, err = c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("second")})
	require.NoError(t, err)
	_, err = c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("second"), Key: aws.String("k"),
		Body: strings.NewReader("x")})
	require.NoError(t, err)
	_, err = c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("second")})
	require.Equal(t, "BucketNotEmpty", code(err))
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("second"), Key: aws.String("k")})
	require.NoError(t, err)
	_, err = c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("second")})
	require.NoError(t, err)
	_, err = c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("second")})
	require.Error(t, err)
}

func TestDeleteOneAndMany(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTPS)
	var ids []types.ObjectIdentifier
	for _, k := range []string{"a", "b", "c"} {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String(k),
			Body: strings.NewReader(k)})
		require.NoError(t, err)
		ids = append(ids, types.ObjectIdentifier{Key: aws.String(k)})
	}
	_, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a")})
	require.NoError(t, err)
	require.Len(t, s.entries(t, ""), 2)
	_, err = c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String("bucket"),
		Delete: &types.Delete{Objects: ids}})
	require.NoError(t, err)
	require.Empty(t, s.entries(t, ""))
}

func TestContentCanNotBeReadBack(t *testing.T) {
	s := start(t, fakes3.Config{})
	c := s.client(t, s.HTTP)
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k"),
		Body: strings.NewReader("x")})
	require.NoError(t, err)
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("k")})
	require.ErrorContains(t, err, "keeps no content")
	require.Equal(t, "NotImplemented", code(err))
	_, err = c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: aws.String("none")})
	require.Equal(t, "NoSuchKey", code(err))
}

func TestEveryFlippedByteOfAFileIsFound(t *testing.T) {
	s := start(t, fakes3.Config{})
	tree, err := corpus.New(&corpus.Spec{Seed: 3, Files: 1, Size: corpus.Fixed(2<<20 + 64)}, 1)
	require.NoError(t, err)
	file, err := io.ReadAll(tree.Open(tree.Len()-1, 0))
	require.NoError(t, err)
	sum := md5.Sum(file)
	put := func(body []byte, declared bool) (*http.Response, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.HTTP+"/bucket/file", bytes.NewReader(body))
		require.NoError(t, err)
		if declared {
			req.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(text)
	}
	resp, text := put(file, true)
	require.Equal(t, http.StatusOK, resp.StatusCode, text)
	require.Equal(t, `"`+md5hex(file)+`"`, resp.Header.Get("ETag"))
	for _, at := range []int{0, 40, 64, 12345, 1<<20 - 1, 1 << 20, 1<<20 + 70, len(file) - 65, len(file) - 1} {
		file[at]++
		resp, text := put(file, true)
		require.Equal(t, http.StatusBadRequest, resp.StatusCode, "byte %d", at)
		require.Contains(t, text, "BadDigest")
		resp, _ = put(file, false)
		require.Equal(t, `"`+md5hex(file)+`"`, resp.Header.Get("ETag"), "byte %d: what arrived is what is told", at)
		file[at]--
	}
}
