package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/memsoak/memsoak/soak/replay/history"
)

// copy copies a file, from its first byte at each attempt, and says whether it is stored.
func (r *run) copy(ctx context.Context, f *file) bool {
	var err error
	for range r.cfg.Traits.Attempts {
		if r.cfg.Traits.Upload == history.UploadChunks {
			err = r.inChunks(ctx, f)
		} else {
			err = r.attempt(ctx, f)
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	r.note(f, err)
	return err == nil
}

// attempt downloads and uploads a file.
func (r *run) attempt(ctx context.Context, f *file) error {
	resp, err := r.clients.drive.Get(f.id).Context(ctx).SupportsAllDrives(true).Download()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if f.size < int64(r.cfg.Traits.BufferBelow) {
		return r.buffered(ctx, r.key(f), resp.Body)
	}
	body := &exactly{r: resp.Body, left: f.size}
	if r.cfg.Traits.Upload == history.UploadPut {
		return r.put(ctx, r.key(f), body, f.size)
	}
	return r.parts(ctx, r.key(f), body)
}

// put sends the file as one object while it comes. Its payload isn't signed, since that would need a body that seeks,
// and the SDK tries it once for the same reason.
func (r *run) put(ctx context.Context, key string, body io.Reader, size int64) error {
	_, err := r.clients.store.PutObject(ctx,
		&s3.PutObjectInput{Bucket: &r.cfg.Bucket, Key: &key, Body: body, ContentLength: &size},
		s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware),
		func(o *s3.Options) { o.Retryer = aws.NopRetryer{} })
	return err
}

// buffered reads a file whole, as the versions before v2.4.0 did with small ones, and puts it.
func (r *run) buffered(ctx context.Context, key string, body io.Reader) error {
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	_, err = r.clients.store.PutObject(ctx, &s3.PutObjectInput{Bucket: &r.cfg.Bucket, Key: &key,
		Body: bytes.NewReader(content)})
	return err
}

// parts lets the SDK read the file into parts.
func (r *run) parts(ctx context.Context, key string, body io.Reader) error {
	_, err := r.clients.upload.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &r.cfg.Bucket, Key: &key,
		Body: body})
	return err
}

// key is where a file goes.
func (r *run) key(f *file) string {
	if f.whole || r.prefix == "" {
		return f.path
	}
	return r.prefix + "/" + f.path
}

// exactly is a reader whose end is an error unless it comes after left bytes: a body that is cut off must not be
// stored.
type exactly struct {
	r    io.Reader
	left int64
}

var errCut = errors.New("the content ended early")

func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.left -= int64(n)
	if err == io.EOF && e.left != 0 {
		return n, fmt.Errorf("%w: %d bytes are missing", errCut, e.left)
	}
	return n, err
}
