package migrator_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drive is a folder in memory for tests in fake time, which no network is part of. Each page of its listing is as the
// test says.
type drive struct {
	pages [][]migrator.Entry

	mu     sync.Mutex
	refuse func(op string) error // what to answer instead; nil lets all through
	asked  map[string]int        // calls by operation
}

func file(id, name string) migrator.Entry {
	sum := md5.Sum([]byte(id))
	return migrator.Entry{ID: id, Name: name, MIME: "text/plain", Size: int64(len(id)), MD5: hex.EncodeToString(sum[:])}
}

func (d *drive) call(op string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.asked == nil {
		d.asked = map[string]int{}
	}
	d.asked[op]++
	if d.refuse == nil {
		return nil
	}
	return d.refuse(op)
}

func (d *drive) List(_ context.Context, l migrator.Listing) (migrator.Page, error) {
	if err := d.call("list"); err != nil {
		return migrator.Page{}, err
	}
	n := 0
	if l.Page != "" {
		if _, err := fmt.Sscan(l.Page, &n); err != nil {
			return migrator.Page{}, err
		}
	}
	p := migrator.Page{Entries: d.pages[n]}
	if n+1 < len(d.pages) {
		p.Next = fmt.Sprint(n + 1)
	}
	return p, nil
}

func (d *drive) Stat(_ context.Context, id string) (migrator.Entry, error) {
	if err := d.call("stat"); err != nil {
		return migrator.Entry{}, err
	}
	if id == "root" {
		return migrator.Entry{ID: "root", Folder: true}, nil
	}
	for _, e := range slices.Concat(d.pages...) {
		if e.ID == id {
			e.Parents = []string{"root"}
			return e, nil
		}
	}
	return migrator.Entry{}, &migrator.Error{Op: "stat", Object: id, Class: migrator.Missing,
		Err: errors.New("no such file")}
}

func (d *drive) Open(_ context.Context, c migrator.Content, offset int64) (io.ReadCloser, error) {
	if err := d.call("open"); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader([]byte(c.ID)[offset:])), nil
}

// store is a bucket in memory.
type store struct {
	mu      sync.Mutex
	objects map[string]migrator.Object
	content map[string]string
}

func newStore() *store {
	return &store{objects: map[string]migrator.Object{}, content: map[string]string{}}
}

func (s *store) Check(context.Context, string) (bool, error) { return len(s.objects) == 0, nil }

func (s *store) Stat(_ context.Context, key string) (migrator.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	if !ok {
		return o, &migrator.Error{Op: "head", Object: key, Class: migrator.Missing, Err: errors.New("no such key")}
	}
	return o, nil
}

func (s *store) Put(_ context.Context, o migrator.Object, body io.Reader, create bool) error {
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.objects[o.Key]; there && create {
		return &migrator.Error{Op: "put", Object: o.Key, Class: migrator.Exists, Err: errors.New("exists")}
	}
	s.objects[o.Key], s.content[o.Key] = o, string(b)
	return nil
}

func (s *store) Multipart(context.Context, migrator.Object, string) (migrator.Upload, error) {
	return nil, errors.New("no file here is large")
}

// migration is a Copier with a queue on disk.
type migration struct {
	*migrator.Copier
	q      *queue.Queue
	paused []time.Duration
}

func begin(t *testing.T, dir string, d migrator.Source, s migrator.Sink, change func(*migrator.Config)) *migration {
	t.Helper()
	m := &migration{}
	cfg := migrator.DefaultConfig()
	cfg.Root = "root"
	var mu sync.Mutex
	cfg.OnEvent = func(e migrator.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Type == "paused" {
			m.paused = append(m.paused, e.Wait)
		}
	}
	if change != nil {
		change(&cfg)
	}
	var resumed bool
	var err error
	m.q, resumed, err = queue.Open(dir)
	require.NoError(t, err)
	m.Copier, err = migrator.New(cfg, d, s, m.q)
	require.NoError(t, err)
	require.NoError(t, m.Start(t.Context(), resumed))
	return m
}

func (m *migration) end(t *testing.T) migrator.Totals {
	t.Helper()
	totals, err := m.q.Totals(context.Background())
	require.NoError(t, err)
	require.NoError(t, m.q.Close())
	return totals
}

func dayIsOver(op string) error {
	return &migrator.Error{Op: op, Object: "x", Reason: "dailyLimitExceeded", Class: migrator.DailyLimit,
		Err: errors.New("come back tomorrow")}
}

// limited is a Drive whose day's quota is used up, for downloads, until a time.
func limited(until time.Time) *drive {
	d := &drive{pages: [][]migrator.Entry{{file("a", "a"), file("b", "b"), file("c", "c"), file("d", "d")}}}
	d.refuse = func(op string) error {
		if op == "open" && time.Now().Before(until) {
			return dayIsOver(op)
		}
		return nil
	}
	return d
}

// TestDailyLimitWaitsForMidnight: when the day's quota is used up, all calls wait until Google renews it, at midnight
// Pacific time, and then the run ends well.
func TestDailyLimitWaitsForMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Fake time begins at midnight UTC of a winter's day, eight hours before Pacific midnight.
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(8 * time.Hour)
		d, s := limited(midnight), newStore()
		m := begin(t, t.TempDir(), d, s, func(c *migrator.Config) { c.Workers = 2 })
		require.NoError(t, m.Run(t.Context()))
		assert.Equal(t, int64(4), m.end(t).Copied)
		assert.WithinDuration(t, midnight, time.Now(), 2*time.Minute)
		assert.LessOrEqual(t, len(m.paused), 2, "each worker asks once, and then all wait")
		assert.LessOrEqual(t, d.asked["open"], 2+4)
		for _, wait := range m.paused {
			assert.InDelta(t, 8*time.Hour, wait, float64(2*time.Minute))
		}
		assert.Len(t, s.content, 4)
	})
}

// TestDailyPauseIsASetting: with a pause set, the service is asked again after each.
func TestDailyPauseIsASetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d, s := limited(began.Add(90*time.Minute)), newStore()
		m := begin(t, t.TempDir(), d, s, func(c *migrator.Config) { c.Workers, c.DailyPause = 1, time.Hour })
		require.NoError(t, m.Run(t.Context()))
		assert.Equal(t, int64(4), m.end(t).Copied)
		assert.Equal(t, []time.Duration{time.Hour, time.Hour}, m.paused)
		assert.WithinDuration(t, began.Add(2*time.Hour), time.Now(), time.Second)
	})
}

// TestStoppedWhilePaused: a run that is stopped in a pause ends, and the next one continues from there.
func TestStoppedWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), newStore()
		began := time.Now()
		d := limited(began.Add(2 * time.Hour))
		m := begin(t, dir, d, s, nil)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, func() { m.Stop(); cancel() })
		require.ErrorIs(t, m.Run(ctx), migrator.ErrStopped)
		assert.Equal(t, time.Minute, time.Since(began))
		totals := m.end(t)
		assert.Equal(t, []int64{4, 0, 0}, []int64{totals.Files, totals.Copied, totals.Failed})

		time.Sleep(2 * time.Hour)
		m = begin(t, dir, d, s, nil)
		require.NoError(t, m.Run(t.Context()))
		assert.Equal(t, int64(4), m.end(t).Copied)
		assert.Equal(t, 1, d.asked["list"], "the tree was in the queue")
	})
}

// TestDisplaced: of two files that want one key, on different pages, the one whose id sorts first gets it in the end,
// whichever came first, and the other goes to the key with its id.
func TestDisplaced(t *testing.T) {
	want := map[string]string{"n.txt": "a", "n~id-b.txt": "b", "n~id-c.txt": "c", "other": "x"}
	for _, order := range [][]string{{"a", "b", "c"}, {"c", "b", "a"}, {"b", "a", "c"}, {"b", "c", "a"}} {
		for _, workers := range []int{1, 8} {
			t.Run(fmt.Sprint(order, workers), func(t *testing.T) {
				d, s := &drive{pages: [][]migrator.Entry{{file("x", "other")}}}, newStore()
				for _, id := range order {
					d.pages = append(d.pages, []migrator.Entry{file(id, "n.txt")})
				}
				dir := t.TempDir()
				m := begin(t, dir, d, s, func(c *migrator.Config) { c.Workers = workers })
				require.NoError(t, m.Run(t.Context()))
				assert.Zero(t, m.end(t).Failed)
				assert.Equal(t, want, s.content)
				for key, o := range s.objects {
					assert.Equal(t, s.content[key], o.Metadata[migrator.MetaID])
				}
			})
		}
	}
}

// TestNotDisplacedButGone: an object of a file that isn't under that name any more is no rival. Nothing comes back
// into the queue for it.
func TestNotDisplacedButGone(t *testing.T) {
	for name, now := range map[string]func(*migrator.Entry){
		"renamed": func(e *migrator.Entry) { e.Name = "elsewhere.txt" },
		"trashed": func(e *migrator.Entry) { e.Trashed = true },
		"deleted": func(e *migrator.Entry) { e.ID = "another" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			old := &drive{pages: [][]migrator.Entry{{file("z", "n.txt")}}}
			m := begin(t, t.TempDir(), old, s, nil)
			require.NoError(t, m.Run(t.Context()))
			m.end(t)

			gone := file("z", "n.txt")
			now(&gone)
			d := &listedWithout{drive: drive{pages: [][]migrator.Entry{{file("b", "n.txt")}}}, gone: gone}
			m = begin(t, t.TempDir(), d, s, nil)
			require.NoError(t, m.Run(t.Context()))
			totals := m.end(t)
			assert.Equal(t, []int64{1, 1}, []int64{totals.Files, totals.Copied})
			assert.Equal(t, map[string]string{"n.txt": "b"}, s.content)
		})
	}
}

// listedWithout is a drive with a file that can be asked for and isn't listed.
type listedWithout struct {
	drive
	gone migrator.Entry
}

func (d *listedWithout) Stat(ctx context.Context, id string) (migrator.Entry, error) {
	if id == d.gone.ID {
		e := d.gone
		e.Parents = []string{"root"}
		return e, nil
	}
	return d.drive.Stat(ctx, id)
}
