package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"unicode"

	awsv2 "github.com/aws/aws-sdk-go-v2/aws"
	credv2 "github.com/aws/aws-sdk-go-v2/credentials"
	s3v2 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/s3/s3manager"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/go-kit/log"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/thanos-io/objstore/providers/s3"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/s3store"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// awsV1 is the uploader of AWS's SDK of the first generation: 5 parts of 5 MiB.
func awsV1(_ context.Context, at *url.URL, bucket string) (upload, error) {
	s, err := session.NewSession(&aws.Config{Endpoint: aws.String(at.String()), S3ForcePathStyle: aws.Bool(true)})
	if err != nil {
		return nil, err
	}
	m := s3manager.NewUploader(s)
	return func(ctx context.Context, key string, body io.Reader, _ int64) error {
		_, err := m.UploadWithContext(ctx, &s3manager.UploadInput{Bucket: &bucket, Key: &key, Body: body})
		return err
	}, nil
}

// throughMinio puts with minio's client; size changes the size that the client receives.
func throughMinio(at *url.URL, bucket string, size func(int64) int64, o minio.PutObjectOptions) (upload, error) {
	c, err := minio.New(at.Host, &minio.Options{Creds: credentials.NewStaticV4("k", "s", ""), Region: "us-east-1"})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, key string, body io.Reader, n int64) error {
		_, err := c.PutObject(ctx, bucket, key, body, size(n), o)
		return err
	}, nil
}

func known(n int64) int64 { return n }
func unknown(int64) int64 { return -1 }

func minioKnown(_ context.Context, at *url.URL, bucket string) (upload, error) {
	return throughMinio(at, bucket, known, minio.PutObjectOptions{})
}

// minioParallel sends parts of 5 MiB side by side, which it buffers.
func minioParallel(_ context.Context, at *url.URL, bucket string) (upload, error) {
	return throughMinio(at, bucket, known, minio.PutObjectOptions{PartSize: 5 << 20, NumThreads: 3,
		ConcurrentStreamParts: true})
}

// minioSmall doesn't know the size, and was given the least part there is.
func minioSmall(_ context.Context, at *url.URL, bucket string) (upload, error) {
	return throughMinio(at, bucket, unknown, minio.PutObjectOptions{PartSize: 5 << 20})
}

// goCloud is the writer of the Go CDK.
func goCloud(ctx context.Context, at *url.URL, bucket string) (upload, error) {
	c := s3v2.New(s3v2.Options{Region: "us-east-1", BaseEndpoint: awsv2.String(at.String()), UsePathStyle: true,
		Credentials: credv2.NewStaticCredentialsProvider("k", "s", "")})
	b, err := s3blob.OpenBucketV2(ctx, c, bucket, nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, key string, body io.Reader, _ int64) error {
		return b.Upload(ctx, key, body, &blob.WriterOptions{ContentType: "application/octet-stream"})
	}, nil
}

// objStore is what Thanos and Mimir store blocks with.
func objStore(_ context.Context, at *url.URL, bucket string) (upload, error) {
	c := s3.DefaultConfig
	c.Bucket, c.Endpoint, c.Insecure, c.Region = bucket, at.Host, true, "us-east-1"
	c.AccessKey, c.SecretKey = "k", "s"
	b, err := s3.NewBucketWithConfig(log.NewNopLogger(), c, "uploaders", nil)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, key string, body io.Reader, _ int64) error { return b.Upload(ctx, key, body) }, nil
}

// distribution is the storage of the container registry.
func distribution(ctx context.Context, at *url.URL, bucket string) (upload, error) {
	d, err := factory.Create(ctx, "s3aws", map[string]any{"region": "us-east-1", "regionendpoint": at.String(),
		"forcepathstyle": true, "bucket": bucket, "accesskey": "k", "secretkey": "s", "secure": false})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, key string, body io.Reader, _ int64) error {
		w, err := d.Writer(ctx, "/"+strings.Map(inPath, strings.TrimLeft(key, "/")), false)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, body); err != nil {
			return fmt.Errorf("%w, and %w", err, w.Cancel(ctx))
		}
		if err := w.Commit(ctx); err != nil {
			return err
		}
		return w.Close()
	}, nil
}

// inPath replaces what the registry's storage refuses in a path.
func inPath(r rune) rune {
	if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("./-_", r)) {
		return r
	}
	return '-'
}

// tusd is the storage of the server for resumable uploads: parts wait in temporary files.
func tusd(_ context.Context, at *url.URL, bucket string) (upload, error) {
	c := s3v2.New(s3v2.Options{Region: "us-east-1", BaseEndpoint: awsv2.String(at.String()), UsePathStyle: true,
		Credentials: credv2.NewStaticCredentialsProvider("k", "s", "")})
	store := s3store.New(bucket, c)
	return func(ctx context.Context, key string, body io.Reader, size int64) error {
		u, err := store.NewUpload(ctx, handler.FileInfo{ID: strings.ReplaceAll(key, "/", "-"), Size: size})
		if err != nil {
			return err
		}
		if _, err := u.WriteChunk(ctx, 0, body); err != nil {
			return err
		}
		return u.FinishUpload(ctx)
	}, nil
}
