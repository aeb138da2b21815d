// Package s3 is the migrator's sink: any S3-compatible store by AWS's own SDK, with its buffering and retrying parts
// left out, and for single objects its middleware too. Bodies are streamed with a known length and an unsigned payload,
// and the store checks Content-MD5.
package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/memsoak/memsoak/migrator"
)

// Options are the settings of a Sink.
type Options struct {
	Config       aws.Config // region, credentials, HTTP client
	Endpoint     string     // base URL; empty for AWS
	Bucket       string
	PathStyle    bool
	StorageClass string // empty for the bucket's default
	SSE          string // server-side encryption: "AES256", "aws:kms"; empty for the bucket's default
}

// Sink is a migrator.Sink.
type Sink struct {
	client *s3.Client
	direct *direct
	o      Options
	// noCreate is set once the store has shown that it doesn't know conditional writes.
	noCreate atomic.Bool
}

// New returns a Sink. It makes no request.
func New(o Options) *Sink {
	client := s3.NewFromConfig(o.Config, func(s *s3.Options) {
		if o.Endpoint != "" {
			s.BaseEndpoint = aws.String(o.Endpoint)
		}
		s.UsePathStyle = o.PathStyle
		s.Retryer = aws.NopRetryer{} // the Copier retries: it has to reopen the source
		s.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		s.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		s.DisableLogOutputChecksumValidationSkipped = true
	})
	return &Sink{client: client, direct: newDirect(client), o: o}
}

// unsigned streams the body without reading it for a signature first, over plain HTTP too.
var unsigned = s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)

// Check implements migrator.Checker.
func (s *Sink) Check(ctx context.Context, prefix string) (bool, error) {
	out, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &s.o.Bucket, Prefix: nonEmpty(prefix), MaxKeys: aws.Int32(1),
	})
	if err != nil {
		e := wrap("list bucket", s.o.Bucket, err)
		if e.Class == migrator.Missing {
			e.Class = migrator.Fatal
		}
		return false, e
	}
	return len(out.Contents) == 0, nil
}

// Stat implements migrator.Sink.
func (s *Sink) Stat(ctx context.Context, key string) (migrator.Object, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.o.Bucket, Key: &key})
	if err != nil {
		return migrator.Object{}, wrap("head", key, err)
	}
	return migrator.Object{Key: key, Size: aws.ToInt64(out.ContentLength), MD5: md5OfETag(aws.ToString(out.ETag)),
		ContentType: aws.ToString(out.ContentType), Metadata: lower(out.Metadata)}, nil
}

// lower makes metadata names comparable: stores differ in how they spell header names.
func lower(m map[string]string) map[string]string {
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[strings.ToLower(k)] = v
	}
	return out
}

// md5OfETag returns the MD5 in an ETag, if it is one: those of multipart uploads and of encrypted objects are not.
func md5OfETag(etag string) string {
	tag := strings.Trim(etag, `"`)
	if b, err := hex.DecodeString(tag); err == nil && len(b) == 16 {
		return strings.ToLower(tag)
	}
	return ""
}

// Put implements migrator.Sink.
func (s *Sink) Put(ctx context.Context, o migrator.Object, body io.Reader, create bool) error {
	create = create && !s.noCreate.Load()
	usable, err := s.direct.put(ctx, s, &o, body, create)
	if !usable {
		in := s.putInput(o, body)
		if create {
			in.IfNoneMatch = aws.String("*")
		}
		_, err = s.client.PutObject(ctx, in, unsigned)
	}
	if r, ok := body.(*bytes.Reader); ok && err == nil && r.Len() > 0 {
		err = errUnread // and the transport may still be at it
	}
	if err == nil {
		return nil
	}
	return s.createRefused("put", o.Key, err, create)
}

var errUnread = errors.New("the store said that all is well before it had read the content")

func (s *Sink) putInput(o migrator.Object, body io.Reader) *s3.PutObjectInput {
	return &s3.PutObjectInput{
		Bucket: &s.o.Bucket, Key: &o.Key, Body: body, ContentLength: &o.Size,
		ContentType: nonEmpty(o.ContentType), ContentMD5: base64MD5(o.MD5), Metadata: o.Metadata,
		StorageClass: types.StorageClass(s.o.StorageClass), ServerSideEncryption: types.ServerSideEncryption(s.o.SSE),
	}
}

// createRefused wraps the error of a write. A store that doesn't know conditional writes isn't asked for one again, and
// the write is to be tried once more.
func (s *Sink) createRefused(op, key string, err error, conditional bool) error {
	e := wrap(op, key, err)
	if e.Reason == "NotImplemented" && conditional {
		s.noCreate.Store(true)
		e.Class = migrator.Transient
	}
	return e
}

func nonEmpty(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

func base64MD5(sum string) *string {
	b, err := hex.DecodeString(sum)
	if err != nil || len(b) != 16 {
		return nil
	}
	return aws.String(base64.StdEncoding.EncodeToString(b))
}

// Multipart implements migrator.Sink.
func (s *Sink) Multipart(ctx context.Context, o migrator.Object, id string) (migrator.Upload, error) {
	up := &upload{s: s, key: o.Key, id: id}
	if id != "" {
		return up, up.load(ctx)
	}
	out, err := s.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &s.o.Bucket, Key: &o.Key, ContentType: nonEmpty(o.ContentType), Metadata: o.Metadata,
		StorageClass: types.StorageClass(s.o.StorageClass), ServerSideEncryption: types.ServerSideEncryption(s.o.SSE),
	})
	if err != nil {
		return nil, wrap("begin upload", o.Key, err)
	}
	up.id = aws.ToString(out.UploadId)
	return up, nil
}

// upload is a migrator.Upload.
type upload struct {
	s     *Sink
	key   string
	id    string
	etags []string // of the parts stored, from part 1
}

func (u *upload) ID() string { return u.id }

// load asks the store for the parts of an earlier run.
func (u *upload) load(ctx context.Context) error {
	p := s3.NewListPartsPaginator(u.s.client, &s3.ListPartsInput{Bucket: &u.s.o.Bucket, Key: &u.key, UploadId: &u.id})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return wrap("list parts", u.key, err)
		}
		for _, part := range page.Parts {
			u.set(int(aws.ToInt32(part.PartNumber)), aws.ToString(part.ETag))
		}
	}
	return nil
}

func (u *upload) set(n int, etag string) {
	for len(u.etags) < n {
		u.etags = append(u.etags, "")
	}
	u.etags[n-1] = etag
}

// Part implements migrator.Upload.
func (u *upload) Part(ctx context.Context, n int, body io.Reader, size int64, md5 func() string) error {
	out, err := u.s.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.s.o.Bucket, Key: &u.key, UploadId: &u.id, PartNumber: aws.Int32(int32(n)), Body: body,
		ContentLength: &size,
	}, unsigned)
	if err != nil {
		return wrap("put part", u.key, err)
	}
	etag := aws.ToString(out.ETag)
	if have, want := md5OfETag(etag), md5(); u.s.o.SSE == "" && have != "" && have != want {
		return &migrator.Error{Op: "put part", Object: u.key, Reason: "BadDigest", Class: migrator.BadDigest,
			Err: fmt.Errorf("the store has md5 %s of part %d, %s was sent", have, n, want)}
	}
	u.set(n, etag)
	return nil
}

// Finish implements migrator.Upload.
func (u *upload) Finish(ctx context.Context, n int, create bool) error {
	if n == 0 {
		_, err := u.s.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &u.s.o.Bucket, Key: &u.key,
			UploadId: &u.id})
		if err != nil {
			return wrap("abort upload", u.key, err)
		}
		return nil
	}
	if n > len(u.etags) {
		return &migrator.Error{Op: "finish upload", Object: u.key, Reason: "partMissing", Class: migrator.Missing,
			Err: fmt.Errorf("the store has %d of %d parts", len(u.etags), n)}
	}
	parts := make([]types.CompletedPart, n)
	for i := range parts {
		parts[i] = types.CompletedPart{ETag: &u.etags[i], PartNumber: aws.Int32(int32(i + 1))}
	}
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.s.o.Bucket, Key: &u.key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}
	if create && !u.s.noCreate.Load() {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := u.s.client.CompleteMultipartUpload(ctx, in)
	if err != nil {
		return u.s.createRefused("finish upload", u.key, err, in.IfNoneMatch != nil)
	}
	return nil
}
