package migrator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue"
)

var errUnreached = errors.New("rabbitmq at 127.0.0.1:1 can't be reached: see that --queue is right and the server runs")

// unreached is a queue of which one operation can't be had.
type unreached struct {
	*queue.Queue
	down string
}

func (q *unreached) fails(op string) error {
	if q.down == op {
		return errUnreached
	}
	return nil
}

func (q *unreached) Lock(context.Context, string) (func(), error) { return func() {}, q.fails("lock") }

func (q *unreached) Push(ctx context.Context, items ...migrator.Item) error {
	if err := q.fails("queue"); err != nil {
		return err
	}
	return q.Queue.Push(ctx, items...)
}

func (q *unreached) Checkpoint(ctx context.Context, l *migrator.Lease, state []byte) error {
	if err := q.fails("checkpoint"); err != nil {
		return err
	}
	return q.Queue.Checkpoint(ctx, l, state)
}

// ofSize is a drive whose files of another length than their id are all x. Later pages come once the bucket has the
// object first, where one is named: a file of the same name is a neighbour only then.
type ofSize struct {
	drive
	bucket *inParts
	first  string
}

func (d *ofSize) List(ctx context.Context, l migrator.Listing) (migrator.Page, error) {
	if l.Page != "" && d.first != "" {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		for {
			if _, err := d.bucket.Stat(ctx, d.first); err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return migrator.Page{}, fmt.Errorf("%s is not stored: %w", d.first, ctx.Err())
			case <-time.After(time.Millisecond):
			}
		}
	}
	return d.drive.List(ctx, l)
}

func (d *ofSize) Open(ctx context.Context, c migrator.Content, offset int64) (io.ReadCloser, error) {
	if int(c.Size) == len(c.ID) {
		return d.drive.Open(ctx, c, offset)
	}
	return io.NopCloser(strings.NewReader(strings.Repeat("x", int(c.Size))[offset:])), nil
}

// inParts is a bucket that takes uploads in parts.
type inParts struct {
	*store
	begun, dropped int
}

func (s *inParts) Multipart(_ context.Context, o migrator.Object, id string) (migrator.Upload, error) {
	if id == "" {
		s.begun++
	}
	return &upload{s, o}, nil
}

type upload struct {
	s *inParts
	o migrator.Object
}

func (u *upload) ID() string { return "upload" }

func (u *upload) Part(_ context.Context, _ int, body io.Reader, _ int64, _ func() string) error {
	b, err := io.ReadAll(body)
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.s.content[u.o.Key] += string(b)
	return err
}

func (u *upload) Finish(_ context.Context, parts int, _ bool) error {
	if parts == 0 {
		u.s.dropped++
		return nil
	}
	u.s.objects[u.o.Key] = u.o
	return nil
}

// TestAQueueThatCantBeReachedEndsTheRun: no file is given up for it. The run ends with the one line that the queue
// gives, files that wait stay, and the same command copies them when the queue is back, the parts that it has included.
func TestAQueueThatCantBeReachedEndsTheRun(t *testing.T) {
	large := migrator.Entry{ID: "large", Name: "large", MIME: "text/plain", Size: 20 << 20}
	pages := map[string][][]migrator.Entry{
		"lock":       {{file("z", "n.txt")}, {file("b", "n.txt")}, {file("c", "other")}},
		"queue":      {{file("z", "n.txt")}, {file("b", "n.txt")}, {file("c", "other")}},
		"checkpoint": {{large, file("c", "other")}},
	}
	for down, pages := range pages {
		for _, workers := range []int{1, 4} {
			t.Run(fmt.Sprint(down, workers), func(t *testing.T) {
				s := &inParts{store: newStore()}
				d := &ofSize{drive: drive{pages: pages}, bucket: s}
				if down != "checkpoint" {
					d.first = "n.txt"
				}
				dir := t.TempDir()
				run := func(down string) (migrator.Totals, error) {
					cfg := migrator.DefaultConfig()
					cfg.Root, cfg.Workers = "root", workers
					cfg.MultipartThreshold, cfg.PartSize = 8<<20, 8<<20
					q, resumed, err := queue.Open(dir)
					require.NoError(t, err)
					broker := &unreached{Queue: q}
					c, err := migrator.New(cfg, d, s, broker)
					require.NoError(t, err)
					require.NoError(t, c.Start(t.Context(), resumed))
					broker.down = down
					ran := c.Run(t.Context())
					totals, err := q.Totals(context.Background())
					require.NoError(t, err)
					require.NoError(t, q.Close())
					return totals, ran
				}
				totals, err := run(down)
				require.ErrorIs(t, err, errUnreached)
				assert.NotContains(t, err.Error(), "\n")
				assert.Equal(t, 1, strings.Count(err.Error(), "can't be reached"), err)
				assert.Zero(t, totals.Failed, "files that are given up")

				totals, err = run("")
				require.NoError(t, err)
				assert.Zero(t, totals.Failed)
				assert.Equal(t, totals.Files, totals.Copied+totals.Skipped)
				if down == "checkpoint" {
					assert.Zero(t, s.dropped, "the upload is still there for the next run")
					return
				}
				assert.Equal(t, map[string]string{"n.txt": "b", "n~id-z.txt": "z", "other": "c"}, s.content)
			})
		}
	}
}
