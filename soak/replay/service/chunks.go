package service

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"

	"github.com/memsoak/memsoak/migrator"
)

// inChunks is the remedy "resumable chunks": parts streamed one after the other by the migrator's Source and Sink. A
// part that fails is asked for again from its own first byte, by a Range, so that no timeout has to hold for the whole
// file and nothing is buffered.
func (r *run) inChunks(ctx context.Context, f *file) error {
	size := int64(r.cfg.Traits.PartSize)
	object := migrator.Object{Key: r.key(f), Size: f.size, MD5: f.md5}
	if f.size <= size {
		body, err := r.engine.Source.Open(ctx, migrator.Content{ID: f.id, Size: f.size}, 0)
		if err != nil {
			return err
		}
		defer body.Close()
		return r.engine.Sink.Put(ctx, object, body, false)
	}
	up, err := r.engine.Sink.Multipart(ctx, object, "")
	if err != nil {
		return err
	}
	n := 0
	for offset := int64(0); offset < f.size; offset += size {
		n++
		if err := r.chunk(ctx, up, f, n, offset, min(size, f.size-offset)); err != nil {
			return errors.Join(err, up.Finish(context.WithoutCancel(ctx), 0, false))
		}
	}
	return up.Finish(ctx, n, false)
}

// chunk sends one part, as often as a file may be tried.
func (r *run) chunk(ctx context.Context, up migrator.Upload, f *file, n int, offset, size int64) (err error) {
	for range r.cfg.Traits.Attempts {
		if err = r.sendChunk(ctx, up, f, n, offset, size); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (r *run) sendChunk(ctx context.Context, up migrator.Upload, f *file, n int, offset, size int64) error {
	if t := r.cfg.Traits.Timeout; t > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t)
		defer cancel()
	}
	body, err := r.engine.Source.Open(ctx, migrator.Content{ID: f.id, Size: f.size}, offset)
	if err != nil {
		return err
	}
	defer body.Close()
	sum := md5.New()
	return up.Part(ctx, n, io.TeeReader(io.LimitReader(body, size), sum), size,
		func() string { return hex.EncodeToString(sum.Sum(nil)) })
}
