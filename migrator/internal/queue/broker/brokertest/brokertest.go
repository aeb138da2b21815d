// Package brokertest has the tests that every queue on a broker has to pass.
package brokertest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// Queue is what the tests need of a queue.
type Queue interface {
	broker.Queue
	migrator.Checkpointer
	migrator.Locker
}

// Rig is a broker and the way to its queues.
type Rig struct {
	// URL of the broker.
	URL string
	// Restart kills the broker, calls between and starts it again.
	Restart func(between func()) error
	// Open opens a queue. The test closes it or lets it die.
	Open func(ctx context.Context, url string, o broker.Options) (Queue, error)
	// Die ends a queue as kill -9 ends its process: nothing is given back.
	Die func(Queue)
}

// names are the queues' of the tests.
var names sync.Map

// Options are those of the tests: short times, and a name of each test's own.
func Options(t *testing.T) broker.Options {
	o := broker.DefaultOptions()
	name, _ := names.LoadOrStore(t, "test-"+rand.Text())
	o.Name = name.(string)
	o.Lease, o.Limit, o.Patience = 300*time.Millisecond, 1000, time.Minute
	return o
}

// open opens a queue that is closed with the test.
func (r *Rig) open(t *testing.T, o broker.Options) Queue {
	t.Helper()
	q, err := r.Open(t.Context(), r.URL, o)
	require.NoError(t, err)
	t.Cleanup(func() { r.Die(q) })
	return q
}

// Root is the root of the tests' trees.
var Root = Folder("root", 1)

// Folder is a folder at a depth.
func Folder(id string, depth int) migrator.Item {
	return migrator.Item{Kind: migrator.Folder, ID: id, Key: id + "/", Ancestors: make([]uint64, depth)}
}

// File is a file of three bytes.
func File(id string) migrator.Item {
	return migrator.Item{Kind: migrator.File, ID: id, Key: id, Size: 3}
}

// Files are n files.
func Files(n int) (out []migrator.Item) {
	for i := range n {
		out = append(out, File(fmt.Sprint("f", i)))
	}
	return out
}

// Begin begins a migration of Root.
func Begin(t *testing.T, q broker.Queue, id string) {
	t.Helper()
	m, err := q.Begin(t.Context(), broker.Migration{ID: id}, Root, false)
	require.NoError(t, err)
	require.Equal(t, id, m.ID)
}

// Take takes an item that has to come.
func Take(t *testing.T, q broker.Queue, k migrator.Kind) *migrator.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := q.Take(ctx, k)
	require.NoError(t, err)
	return l
}

// List settles a folder with products.
func List(t *testing.T, q broker.Queue, items ...migrator.Item) {
	t.Helper()
	l := Take(t, q, migrator.Folder)
	require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: items}))
}

// NothingComes wants a Take to wait.
func NothingComes(t *testing.T, q broker.Queue, k migrator.Kind, why string) {
	t.Helper()
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := q.Take(short, k)
	require.ErrorIs(t, err, context.DeadlineExceeded, why)
}

// Run runs all tests on a broker side by side. It is no place for [Restart], which they would see.
func Run(t *testing.T, r *Rig) {
	for name, test := range map[string]func(*testing.T, *Rig){
		"to the end":       toTheEnd,
		"taken over":       takenOver,
		"given back":       givenBack,
		"poison is parked": poisonIsParked,
		"listing waits":    listingWaits,
		"deepest first":    deepestFirst,
		"network cut":      networkCut,
		"listed twice":     listedTwice,
		"begun anew":       begunAnew,
		"lock":             lock,
		"begin raced":      beginRaced,
		"status raced":     statusRaced,
		"restart raced":    restartRaced,
		"close raced":      closeRaced,
		"forgotten":        forgotten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, r)
		})
	}
}

func toTheEnd(t *testing.T, r *Rig) {
	a, b := r.open(t, Options(t)), r.open(t, Options(t))
	_, err := a.Migration(t.Context())
	require.ErrorIs(t, err, broker.ErrNone)
	Begin(t, a, "m")
	m, err := b.Begin(t.Context(), broker.Migration{ID: "late"}, Root, false)
	require.NoError(t, err)
	assert.Equal(t, "m", m.ID, "the first to begin decides")

	List(t, a, Folder("sub", 2), File("x"), File("y"))
	sub := Take(t, b, migrator.Folder)
	assert.Equal(t, "sub", sub.Item.ID)
	for range 2 {
		l := Take(t, b, migrator.File)
		assert.False(t, l.Again)
		require.NoError(t, b.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
		assert.Error(t, b.Settle(t.Context(), l, migrator.Result{}), "settled twice")
	}
	NothingComes(t, a, migrator.File, "a folder is open: files may come")
	next := sub.Item
	next.Page = "2"
	require.NoError(t, b.Settle(t.Context(), sub, migrator.Result{Outcome: migrator.Returned,
		Produced: []migrator.Item{Folder("on page one", 3), next}}))
	List(t, b)
	parked := migrator.Parked{ID: "z", Path: "sub/z", Outcome: migrator.Unavailable, Reason: "dangling"}
	require.NoError(t, b.Settle(t.Context(), Take(t, b, migrator.Folder), migrator.Result{Outcome: migrator.Listed,
		Parked: []migrator.Parked{parked}}))
	for _, k := range []migrator.Kind{migrator.Folder, migrator.File} {
		_, err = a.Take(t.Context(), k)
		assert.ErrorIs(t, err, io.EOF)
	}
	st, err := a.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, migrator.Totals{Folders: 3, Files: 2, Size: 6, Listed: 3, Copied: 2, Bytes: 6, Unavailable: 1},
		st.Totals)
	assert.True(t, st.Done())
	assert.Equal(t, map[string]int64{"unavailable: dangling": 1}, st.Reasons)
	for range 2 {
		lines, err := a.Parked(t.Context(), migrator.Unavailable, 10)
		require.NoError(t, err)
		assert.Equal(t, []migrator.Parked{parked}, lines, "reading leaves it there")
	}
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	st, err = r.open(t, Options(t)).Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, st.Totals.Copied, "when all processes have ended")
}

// takenOver: what a dead process had comes to another with its state. A live one keeps its items beyond a lease.
func takenOver(t *testing.T, r *Rig) {
	o := Options(t)
	o.Prefetch = 1
	a, b := r.open(t, o), r.open(t, o)
	Begin(t, a, "m")
	List(t, a, File("x"), File("kept"))
	kept := Take(t, b, migrator.File)
	l := Take(t, a, migrator.File)
	require.NoError(t, a.Checkpoint(t.Context(), l, []byte("half")))
	r.Die(a)
	again := Take(t, b, migrator.File)
	assert.Equal(t, l.Item.ID, again.Item.ID, "what a live process holds stays with it")
	assert.True(t, again.Again)
	assert.Equal(t, "half", string(again.State))
	require.NoError(t, b.Settle(t.Context(), again, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	require.NoError(t, b.Settle(t.Context(), kept, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	st, err := b.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, st.Totals.Copied)
	assert.True(t, st.Done())
}

func givenBack(t *testing.T, r *Rig) {
	o := Options(t)
	o.Lease = time.Hour // nothing is taken over here
	a, b := r.open(t, o), r.open(t, o)
	Begin(t, a, "m")
	List(t, a, Files(200)...)
	l := Take(t, a, migrator.File)
	require.NoError(t, a.Checkpoint(t.Context(), l, []byte("half")))
	require.NoError(t, a.Settle(t.Context(), l, migrator.Result{}))
	require.NoError(t, a.Close(), "gives back what it took ahead")
	seen := 0
	for range 200 {
		got := Take(t, b, migrator.File)
		if got.Item.ID == l.Item.ID {
			seen++
			assert.True(t, got.Again)
			assert.Equal(t, "half", string(got.State))
		} else {
			assert.False(t, got.Again, got.Item.ID)
		}
		require.NoError(t, b.Settle(t.Context(), got, migrator.Result{Outcome: migrator.Skipped}))
	}
	assert.Equal(t, 1, seen)
	_, err := b.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
}

func poisonIsParked(t *testing.T, r *Rig) {
	for _, deadly := range []migrator.Item{File("deadly"), Folder("deadly", 2)} {
		t.Run(fmt.Sprint("kind ", deadly.Kind), func(t *testing.T) {
			o := Options(t)
			o.Deliveries = 2
			first := r.open(t, o)
			Begin(t, first, "m")
			List(t, first, deadly)
			require.NoError(t, first.Close())
			for i := range 2 {
				q := r.open(t, o)
				l := Take(t, q, deadly.Kind)
				assert.Equal(t, i > 0, l.Again)
				r.Die(q)
			}
			last := r.open(t, o)
			_, err := last.Take(t.Context(), deadly.Kind)
			assert.ErrorIs(t, err, io.EOF)
			lines, err := last.Parked(t.Context(), migrator.Failed, 10)
			require.NoError(t, err)
			require.Len(t, lines, 1)
			assert.Equal(t, deadly.Key, lines[0].Path)
			assert.Contains(t, lines[0].Detail, "2 processes")
		})
	}
}

// listingWaits: above the limit of queued files no folder is handed out, and below it again.
func listingWaits(t *testing.T, r *Rig) {
	q := r.open(t, Options(t))
	Begin(t, q, "m")
	List(t, q, append(Files(1000), Folder("sub", 2))...)
	NothingComes(t, q, migrator.Folder, "1000 files are queued")
	require.NoError(t, q.Settle(t.Context(), Take(t, q, migrator.File), migrator.Result{Outcome: migrator.Copied}))
	assert.Equal(t, "sub", Take(t, q, migrator.Folder).Item.ID)
}

// deepestFirst: a wide tree has few folders queued at a time.
func deepestFirst(t *testing.T, r *Rig) {
	o := Options(t)
	o.Prefetch = 1
	q := r.open(t, o)
	Begin(t, q, "m")
	most, listed := int64(0), 0
	for {
		l, err := q.Take(t.Context(), migrator.Folder)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		var below []migrator.Item
		if d := len(l.Item.Ancestors); d < 4 {
			for i := range 5 {
				below = append(below, Folder(fmt.Sprintf("%s.%d", l.Item.ID, i), d+1))
			}
		}
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: below}))
		st, err := q.Status(t.Context())
		require.NoError(t, err)
		most = max(most, st.Folders)
		listed++
	}
	assert.Equal(t, 1+5+25+125, listed)
	assert.LessOrEqual(t, most, int64(3*5+2), "folders queued at a time")
}

// Restart is the test that the queue survives a broker that is killed and started again.
func Restart(t *testing.T, r *Rig) {
	q := r.open(t, Options(t))
	Begin(t, q, "m")
	l := Take(t, q, migrator.Folder)
	settled := make(chan error, 1)
	require.NoError(t, r.Restart(func() {
		go func() {
			settled <- q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: Files(3)})
		}()
	}))
	require.NoError(t, <-settled)
	for range 3 {
		require.NoError(t, q.Settle(t.Context(), Take(t, q, migrator.File), migrator.Result{Outcome: migrator.Copied}))
	}
	_, err := q.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
}

// listedTwice: two processes list the same folder, because the first was held to be dead. What the first to settle
// found counts, once.
func listedTwice(t *testing.T, r *Rig) {
	o := Options(t)
	a, b := r.open(t, o), r.open(t, o)
	Begin(t, a, "m")
	l := Take(t, a, migrator.Folder)
	r.Die(a)
	again := Take(t, b, migrator.Folder)
	require.Equal(t, l.Item.ID, again.Item.ID)
	result := migrator.Result{Outcome: migrator.Listed, Produced: []migrator.Item{File("x"), File("y"), Folder("sub", 2)}}
	require.NoError(t, b.Settle(t.Context(), again, result))
	List(t, b)
	for range 2 {
		require.NoError(t, b.Settle(t.Context(), Take(t, b, migrator.File), migrator.Result{Outcome: migrator.Copied}))
	}
	_, err := b.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
	totals, err := b.Totals(t.Context())
	require.NoError(t, err)
	assert.Equal(t, migrator.Totals{Folders: 2, Files: 2, Size: 6, Listed: 2, Copied: 2}, totals)
}

// begunAnew: a migration that is forgotten leaves nothing behind, and its items still in flight count nothing.
func begunAnew(t *testing.T, r *Rig) {
	o := Options(t)
	o.Prefetch = 1
	q := r.open(t, o)
	Begin(t, q, "old")
	List(t, q, append(Files(50), Folder("old", 2))...)
	old := Take(t, q, migrator.File)
	m, err := q.Begin(t.Context(), broker.Migration{ID: "new"}, Root, true)
	require.NoError(t, err)
	assert.Equal(t, "new", m.ID)
	require.NoError(t, q.Settle(t.Context(), old, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	l := Take(t, q, migrator.Folder)
	assert.Equal(t, "root", l.Item.ID)
	require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed,
		Produced: []migrator.Item{File("new")}}))
	fresh := Take(t, q, migrator.File)
	assert.Equal(t, "new", fresh.Item.ID)
	require.NoError(t, q.Settle(t.Context(), fresh, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	_, err = q.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
	totals, err := q.Totals(t.Context())
	require.NoError(t, err)
	assert.Equal(t, migrator.Totals{Folders: 1, Files: 1, Size: 3, Listed: 1, Copied: 1, Bytes: 3}, totals)
}

func lock(t *testing.T, r *Rig) {
	a, b := r.open(t, Options(t)), r.open(t, Options(t))
	unlock, err := a.Lock(t.Context(), "key")
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = b.Lock(short, "key")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	_, err = b.Lock(t.Context(), "key")
	require.NoError(t, err)
	r.Die(b)
	unlock, err = a.Lock(t.Context(), "key")
	require.NoError(t, err, "a dead process's lock ends")
	unlock()
}
