package buffers

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager" //nolint:staticcheck // its memory is the object of study
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/minio/minio-go/v7"
	miniocreds "github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// client returns an SDK client of the engine's sink, over the engine's transport.
func client(e *copier.Engine) *s3.Client {
	return s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(e.Config().S3),
		UsePathStyle: true,
		HTTPClient:   e.Client().HTTP,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "specimen", SecretAccessKey: "specimen"}, nil
		}),

		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// newManager uploads streams by the SDK's older uploader, one per file: it reads into parts of 8 MiB, whatever the
// size.
func newManager(e *copier.Engine) copier.Hooks {
	c := client(e)
	bucket := e.Config().Bucket
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, _ copier.File, key string,
		body io.Reader) error {
		u := manager.NewUploader(c, func(u *manager.Uploader) { u.Concurrency, u.PartSize = 1, 8<<20 })
		return multipart(ctx, u, bucket, key, body)
	}}
}

// newPartsOfSDK uploads by the same uploader as it comes: parts of 5 MiB, five together, and a sixth being read.
// Files of a few MiB show a fraction of that.
func newPartsOfSDK(e *copier.Engine) copier.Hooks {
	c := client(e)
	bucket := e.Config().Bucket
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, _ copier.File, key string,
		body io.Reader) error {
		return parts(ctx, manager.NewUploader(c), bucket, key, body)
	}}
}

func parts(ctx context.Context, u *manager.Uploader, bucket, key string, body io.Reader) error {
	_, err := u.Upload(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: onlyReader{body}}) // fault:worker-parts
	return err
}

func multipart(ctx context.Context, u *manager.Uploader, bucket, key string, body io.Reader) error {
	_, err := u.Upload(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: onlyReader{body}}) // fault:worker-manager
	return err
}

// onlyReader hides that a reader can do more.
type onlyReader struct{ io.Reader }

// newTransferManager uploads by the SDK's newer uploader with a threshold above every size: it reads the file whole.
//
//go:noinline
func newTransferManager(e *copier.Engine) copier.Hooks {
	tm := transfermanager.New(client(e), func(o *transfermanager.Options) {
		o.MultipartUploadThreshold = 1 << 40
		o.Concurrency = 1
	})
	bucket := e.Config().Bucket
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, _ copier.File, key string,
		body io.Reader) error {
		in := &transfermanager.UploadObjectInput{Bucket: &bucket, Key: &key, Body: onlyReader{body}}
		_, err := tm.UploadObject(ctx, in) // fault:file-transfermanager
		return err
	}}
}

// newMinio uploads by minio-go with an unknown size, which takes a part's buffer of 5 MiB per transfer.
func newMinio(e *copier.Engine) copier.Hooks {
	cfg := e.Config()
	dial := sync.OnceValues(func() (*minio.Client, error) {
		u, err := url.Parse(cfg.S3)
		if err != nil {
			return nil, err
		}
		return minio.New(u.Host, &minio.Options{
			Creds:     miniocreds.NewStaticV4("specimen", "specimen", ""),
			Transport: e.Client().Transport,
			Region:    "us-east-1",
			Secure:    u.Scheme == "https",
		})
	})
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, _ copier.File, key string,
		body io.Reader) error {
		c, err := dial()
		if err != nil {
			return err
		}
		return unknownSize(ctx, c, cfg.Bucket, key, body)
	}}
}

func unknownSize(ctx context.Context, c *minio.Client, bucket, key string, body io.Reader) error {
	o := minio.PutObjectOptions{PartSize: 5 << 20}
	_, err := c.PutObject(ctx, bucket, key, onlyReader{body}, -1, o) // fault:worker-minio
	return err
}

// newSeekable reads each file whole, since PutObject wants a body that can seek.
func newSeekable(e *copier.Engine) copier.Hooks {
	s := &seekable{client: client(e), bucket: e.Config().Bucket}
	return copier.Hooks{Upload: s.put}
}

type seekable struct {
	client *s3.Client
	bucket string
}

func (s *seekable) put(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
	content := bytes.NewBuffer(make([]byte, 0, f.Size+bytes.MinRead)) // fault:file-sdk
	if _, err := io.CopyN(content, body, f.Size); err != nil {
		return err
	}
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key,
		Body: bytes.NewReader(content.Bytes())})
	return err
}

// newStreaming streams through PutObject with an unsigned payload: nothing has to seek.
func newStreaming(e *copier.Engine) copier.Hooks {
	c := client(e)
	bucket := e.Config().Bucket
	return copier.Hooks{Upload: func(ctx context.Context, _ *copier.Worker, f copier.File, key string,
		body io.Reader) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: onlyReader{body},
			ContentLength: &f.Size},
			s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
		return err
	}}
}
