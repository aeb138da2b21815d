package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"memsoak/migrator"
	"memsoak/migrator/internal/queue/broker"
	"memsoak/migrator/internal/rig"
)

func server(t *testing.T, args ...string) *rig.RedisServer {
	s, err := rig.Redis(t.Context(), t.TempDir(), args...)
	if errors.Is(err, rig.ErrNoRedis) {
		t.Skip(err)
	}
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

func options() broker.Options {
	o := broker.DefaultOptions()
	o.Lease, o.Limit, o.Patience = 300*time.Millisecond, 1000, 30*time.Second
	return o
}

func open(t *testing.T, s *rig.RedisServer, o broker.Options) *Queue {
	q, err := Open(t.Context(), s.URL(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.rdb.Close() })
	return q
}

// die ends a process's signs of life as kill -9 does: nothing is given back.
func die(q *Queue) {
	close(q.stop)
	q.done.Wait()
}

var root = folder("root", 1)

func folder(id string, depth int) migrator.Item {
	return migrator.Item{Kind: migrator.Folder, ID: id, Key: id + "/", Ancestors: make([]uint64, depth)}
}

func file(id string) migrator.Item {
	return migrator.Item{Kind: migrator.File, ID: id, Key: id, Size: 3}
}

func files(n int) (out []migrator.Item) {
	for i := range n {
		out = append(out, file(fmt.Sprint("f", i)))
	}
	return out
}

func begin(t *testing.T, q *Queue, id string) {
	m, err := q.Begin(t.Context(), broker.Migration{ID: id}, root, false)
	require.NoError(t, err)
	require.Equal(t, id, m.ID)
}

func take(t *testing.T, q *Queue, k migrator.Kind) *migrator.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l, err := q.Take(ctx, k)
	require.NoError(t, err)
	return l
}

// list settles the root with products.
func list(t *testing.T, q *Queue, items ...migrator.Item) {
	t.Helper()
	l := take(t, q, migrator.Folder)
	require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: items}))
}

func TestToTheEnd(t *testing.T) {
	s := server(t)
	a, b := open(t, s, options()), open(t, s, options())
	begin(t, a, "m")
	m, err := b.Begin(t.Context(), broker.Migration{ID: "late"}, root, false)
	require.NoError(t, err)
	assert.Equal(t, "m", m.ID, "the first to begin decides")

	list(t, a, folder("sub", 2), file("x"), file("y"))
	sub := take(t, b, migrator.Folder)
	assert.Equal(t, "sub", sub.Item.ID)
	for range 2 {
		l := take(t, b, migrator.File)
		assert.False(t, l.Again)
		require.NoError(t, b.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
		assert.Error(t, b.Settle(t.Context(), l, migrator.Result{}), "settled twice")
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = a.Take(short, migrator.File)
	assert.ErrorIs(t, err, context.DeadlineExceeded, "a folder is open: files may come")
	parked := migrator.Parked{ID: "z", Path: "sub/z", Outcome: migrator.Unavailable, Reason: "dangling"}
	require.NoError(t, b.Settle(t.Context(), sub, migrator.Result{Outcome: migrator.Listed, Parked: []migrator.Parked{parked}}))
	for _, k := range []migrator.Kind{migrator.Folder, migrator.File} {
		_, err = a.Take(t.Context(), k)
		assert.ErrorIs(t, err, io.EOF)
	}
	st, err := a.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, migrator.Totals{Folders: 2, Files: 2, Size: 6, Listed: 2, Copied: 2, Bytes: 6, Unavailable: 1}, st.Totals)
	assert.True(t, st.Done())
	assert.Equal(t, map[string]int64{"unavailable: dangling": 1}, st.Reasons)
	lines, err := a.Parked(t.Context(), migrator.Unavailable, 10)
	require.NoError(t, err)
	assert.Equal(t, []migrator.Parked{parked}, lines)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())

	n, err := open(t, s, options()).rdb.XLen(t.Context(), "{migrator}:files").Result()
	require.NoError(t, err)
	assert.Zero(t, n, "what is settled takes no memory")
}

// TestTakenOver: what a dead process had comes to another with its state, and counts once though the dead one settles
// late. A live one keeps its items beyond a lease.
func TestTakenOver(t *testing.T) {
	s := server(t)
	a, b := open(t, s, options()), open(t, s, options())
	begin(t, a, "m")
	list(t, a, file("x"), file("kept"))
	kept := take(t, b, migrator.File)
	l := take(t, a, migrator.File)
	require.NoError(t, a.Checkpoint(t.Context(), l, []byte("half")))
	die(a)
	again := take(t, b, migrator.File)
	assert.Equal(t, l.Item.ID, again.Item.ID, "what a live process holds stays with it")
	assert.True(t, again.Again)
	assert.Equal(t, "half", string(again.State))
	require.NoError(t, b.Settle(t.Context(), again, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	args, err := settleArgs("files", l.Ref.(*held).id, migrator.File, migrator.Result{Outcome: migrator.Copied, Bytes: 3})
	require.NoError(t, err)
	require.NoError(t, a.settle(t.Context(), args))
	require.NoError(t, b.Settle(t.Context(), kept, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	st, err := b.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, st.Totals.Copied)
	assert.True(t, st.Done())
}

func TestGivenBack(t *testing.T) {
	s := server(t)
	o := options()
	o.Lease = time.Hour // nothing is taken over here
	a, b := open(t, s, o), open(t, s, o)
	begin(t, a, "m")
	list(t, a, files(200)...)
	l := take(t, a, migrator.File)
	require.NoError(t, a.Checkpoint(t.Context(), l, []byte("half")))
	require.NoError(t, a.Settle(t.Context(), l, migrator.Result{}))
	require.NoError(t, a.Close(), "gives back what it took ahead")
	seen := 0
	for range 200 {
		got := take(t, b, migrator.File)
		if got.Item.ID == l.Item.ID {
			seen++
			assert.True(t, got.Again)
			assert.Equal(t, "half", string(got.State))
		} else {
			assert.False(t, got.Again)
		}
		require.NoError(t, b.Settle(t.Context(), got, migrator.Result{Outcome: migrator.Skipped}))
	}
	assert.Equal(t, 1, seen)
	_, err := b.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
}

func TestPoisonIsParked(t *testing.T) {
	s := server(t)
	o := options()
	o.Deliveries = 2
	first := open(t, s, o)
	begin(t, first, "m")
	list(t, first, file("deadly"))
	for i := range 2 {
		q := open(t, s, o)
		l := take(t, q, migrator.File)
		assert.Equal(t, i > 0, l.Again)
		die(q)
	}
	_, err := first.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
	lines, err := first.Parked(t.Context(), migrator.Failed, 10)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	assert.Equal(t, "deadly", lines[0].Path)
	assert.Contains(t, lines[0].Detail, "2 processes")
}

// TestListingWaits: above the limit of queued files no folder is handed out, and below it again.
func TestListingWaits(t *testing.T) {
	q := open(t, server(t), options())
	begin(t, q, "m")
	list(t, q, append(files(1000), folder("sub", 2))...)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := q.Take(short, migrator.Folder)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, q.Settle(t.Context(), take(t, q, migrator.File), migrator.Result{Outcome: migrator.Copied}))
	assert.Equal(t, "sub", take(t, q, migrator.Folder).Item.ID)
}

// TestDeepestFirst: a wide tree has few folders queued at a time.
func TestDeepestFirst(t *testing.T) {
	q := open(t, server(t), options())
	begin(t, q, "m")
	most, listed := int64(0), 0
	for {
		l, err := q.Take(t.Context(), migrator.Folder)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		var below []migrator.Item
		if d := len(l.Item.Ancestors); d < 4 {
			for i := range 8 {
				below = append(below, folder(fmt.Sprintf("%s.%d", l.Item.ID, i), d+1))
			}
		}
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: below}))
		st, err := q.Status(t.Context())
		require.NoError(t, err)
		most = max(most, st.Folders)
		listed++
	}
	assert.Equal(t, 1+8+64+512, listed)
	assert.LessOrEqual(t, most, int64(3*8), "folders queued at a time")
}

func TestSurvivesRestart(t *testing.T) {
	s := server(t)
	q := open(t, s, options())
	begin(t, q, "m")
	l := take(t, q, migrator.Folder)
	s.Kill()
	settled := make(chan error, 1)
	go func() {
		settled <- q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: files(3)})
	}()
	require.NoError(t, s.Start())
	require.NoError(t, <-settled)
	for range 3 {
		require.NoError(t, q.Settle(t.Context(), take(t, q, migrator.File), migrator.Result{Outcome: migrator.Copied}))
	}
	_, err := q.Take(t.Context(), migrator.File)
	assert.ErrorIs(t, err, io.EOF)
}

// TestNetworkCut: connections are cut over and over, in the middle of requests and replies; each item counts once.
func TestNetworkCut(t *testing.T) {
	s := server(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go cutting(ln, s.Addr)
	o := options()
	q, err := Open(t.Context(), "redis://"+ln.Addr().String(), o)
	require.NoError(t, err)
	defer q.rdb.Close()
	begin(t, q, "m")
	list(t, q, files(100)...)
	for {
		l, err := q.Take(t.Context(), migrator.File)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied}))
	}
	totals, err := q.Totals(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 100, totals.Copied)
	assert.EqualValues(t, 100, totals.Files)
}

// cutting forwards connections and cuts each after some kilobytes of replies.
func cutting(ln net.Listener, to string) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			up, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer up.Close()
			go func() { _, _ = io.Copy(up, c) }()
			_, _ = io.CopyN(c, up, 6000)
		}()
	}
}

func TestLock(t *testing.T) {
	s := server(t)
	a, b := open(t, s, options()), open(t, s, options())
	unlock, err := a.Lock(t.Context(), "key")
	require.NoError(t, err)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = b.Lock(short, "key")
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	unlock()
	unlock, err = b.Lock(t.Context(), "key")
	require.NoError(t, err)
	unlock()
}

func TestRefusals(t *testing.T) {
	open := func(s *rig.RedisServer, url string) error {
		if url == "" {
			url = s.URL()
		}
		o := options()
		o.Patience = 0
		_, err := Open(t.Context(), url, o)
		return err
	}
	rdb := func(s *rig.RedisServer) *goredis.Client {
		c := goredis.NewClient(&goredis.Options{Addr: s.Addr})
		t.Cleanup(func() { c.Close() })
		return c
	}
	s := server(t)
	require.NoError(t, rdb(s).RPush(t.Context(), "{migrator}:files", "other").Err())
	assert.ErrorIs(t, open(s, ""), broker.ErrSchema, "a key of somebody else")
	require.NoError(t, rdb(s).Del(t.Context(), "{migrator}:files").Err())
	require.NoError(t, rdb(s).HSet(t.Context(), "{migrator}:meta", "schema", "migrator/redis/9", "migration", "{}").Err())
	err := open(s, "")
	assert.ErrorIs(t, err, broker.ErrSchema)
	assert.ErrorContains(t, err, "migrator/redis/9")
	require.NoError(t, rdb(s).ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	assert.ErrorContains(t, open(s, ""), "noeviction")

	locked := server(t, "--requirepass", "secret")
	assert.ErrorContains(t, open(locked, ""), "refuses the credentials")
	err = open(locked, "redis://:wrong@"+locked.Addr)
	assert.ErrorContains(t, err, "refuses the credentials")
	assert.NotContains(t, err.Error(), "wrong@")
	assert.NoError(t, open(locked, "redis://:secret@"+locked.Addr))
	assert.ErrorContains(t, open(nil, "redis://127.0.0.1:1"), "can't be reached")
}

// TestFull: a settle that Redis has no memory for changes nothing; with memory it goes on. A lost queue is said to be.
func TestFull(t *testing.T) {
	s := server(t)
	q := open(t, s, options())
	begin(t, q, "m")
	l := take(t, q, migrator.Folder)
	require.NoError(t, q.rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	r := migrator.Result{Outcome: migrator.Listed, Produced: files(5)}
	err := q.Settle(t.Context(), l, r)
	assert.ErrorContains(t, err, "is full")
	assert.NotContains(t, err.Error(), "\n")
	st, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, st.Folders)
	assert.Zero(t, st.Files)
	require.NoError(t, q.rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.NoError(t, q.Settle(t.Context(), l, r))
	f := take(t, q, migrator.File)
	require.NoError(t, q.rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	require.NoError(t, q.Settle(t.Context(), f, migrator.Result{Outcome: migrator.Copied}), "uploads go on when Redis is full")

	require.NoError(t, q.rdb.FlushAll(t.Context()).Err())
	for range 4 { // taken ahead
		_, err = q.Take(t.Context(), migrator.File)
		if err != nil {
			break
		}
	}
	_, err = q.Take(t.Context(), migrator.Folder)
	assert.ErrorIs(t, err, broker.ErrLost)
}
