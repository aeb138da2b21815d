package migrator_test

import (
	"context"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
)

// silent is a drive of one file whose first download breaks off its bytes after so many and then says nothing.
type silent struct {
	drive
	content string
	after   int
	opened  []int64 // offsets
}

func newSilent(content string, after int) *silent {
	e := file("a", "a")
	e.Size, e.MD5 = int64(len(content)), ""
	return &silent{drive: drive{pages: [][]migrator.Entry{{e}}}, content: content, after: after}
}

func (d *silent) Open(ctx context.Context, _ migrator.Content, offset int64) (io.ReadCloser, error) {
	d.opened = append(d.opened, offset)
	if len(d.opened) > 1 {
		return io.NopCloser(strings.NewReader(d.content[offset:])), nil
	}
	return io.NopCloser(io.MultiReader(strings.NewReader(d.content[:d.after]), hangs{ctx})), nil
}

// hangs is a connection on which nothing comes before its request is given up.
type hangs struct{ ctx context.Context }

func (h hangs) Read([]byte) (int, error) {
	<-h.ctx.Done()
	return 0, h.ctx.Err()
}

// TestSilentSourceIsAskedAgain: a download on which nothing comes is given up after the idle timeout, not before, and
// continues where it broke, for files that are read whole and for those that are streamed.
func TestSilentSourceIsAskedAgain(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "streamed": 300_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, s := newSilent(strings.Repeat("x", size), 40), newStore()
				began := time.Now()
				m := begin(t, t.TempDir(), d, s, nil)
				require.NoError(t, m.Run(t.Context()))
				assert.Equal(t, int64(1), m.end(t).Copied)
				assert.Equal(t, []int64{0, 40}, d.opened)
				assert.InDelta(t, migrator.DefaultConfig().IdleTimeout, time.Since(began), float64(time.Second))
				assert.Equal(t, d.content, s.content["a"])
			})
		})
	}
}

// deaf is a store that neither reads nor answers, the first time; or that reads one byte at a time.
type deaf struct {
	*store
	puts  atomic.Int32
	every time.Duration
}

func (s *deaf) Put(ctx context.Context, o migrator.Object, body io.Reader, create bool) error {
	if s.puts.Add(1) == 1 && s.every == 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.store.Put(ctx, o, slow{ctx, body, s.every}, create)
}

type slow struct {
	ctx   context.Context
	r     io.Reader
	every time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(s.every):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	return s.r.Read(p[:min(len(p), 30_000)])
}

// TestSilentSinkIsAskedAgain: a store that doesn't move is given up after its timeout; one that is slow never is.
func TestSilentSinkIsAskedAgain(t *testing.T) {
	timeout := migrator.DefaultConfig().SinkTimeout
	for name, c := range map[string]struct {
		every, least, most time.Duration
		puts               int32
	}{
		"silent": {0, timeout, timeout + time.Second, 2},
		"slow":   {timeout - time.Second, 10 * (timeout - time.Second), 1000 * timeout, 1}, // ten reads or more
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := file("a", "a")
				content := strings.Repeat("x", 300_000)
				e.Size, e.MD5 = int64(len(content)), ""
				d := &silent{drive: drive{pages: [][]migrator.Entry{{e}}}, content: content, opened: []int64{-1}}
				s := &deaf{store: newStore(), every: c.every}
				began := time.Now()
				m := begin(t, t.TempDir(), d, s, nil)
				require.NoError(t, m.Run(t.Context()))
				assert.Equal(t, int64(1), m.end(t).Copied)
				assert.Equal(t, c.puts, s.puts.Load())
				assert.GreaterOrEqual(t, time.Since(began), c.least)
				assert.LessOrEqual(t, time.Since(began), c.most)
			})
		})
	}
}
