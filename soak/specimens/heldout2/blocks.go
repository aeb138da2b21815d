package heldout2

import (
	"context"
	"io"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// blocks keeps a sample of each block of each file that was ever read: an index for finding equal blocks.
type blocks struct {
	engine *copier.Engine
	mu     sync.Mutex
	last   *block
}

const blockSize = 4096

type block struct {
	before *block
	head   [504]byte
}

func newBlocks(e *copier.Engine) copier.Hooks {
	b := &blocks{engine: e}
	return copier.Hooks{Upload: b.upload}
}

func (b *blocks) upload(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
	return b.engine.Client().Upload(ctx, key, &blockReader{src: body, index: b}, f.Size)
}

func (b *blocks) add(head []byte) {
	n := newBlock(head)
	b.mu.Lock()
	defer b.mu.Unlock()
	n.before, b.last = b.last, n
}

func newBlock(head []byte) *block {
	n := new(block) // fault:leak-blocks
	copy(n.head[:], head)
	return n
}

// blockReader adds a block to the index whenever the bytes of one have passed.
type blockReader struct {
	src    io.Reader
	index  *blocks
	passed int
}

func (r *blockReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	for r.passed += n; r.passed >= blockSize; r.passed -= blockSize {
		r.index.add(p[:n])
	}
	return n, err
}
