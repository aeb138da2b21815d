package redis

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker/brokertest"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

func server(t *testing.T, args ...string) *rig.RedisServer {
	s, err := rig.Redis(t.Context(), t.TempDir(), args...)
	needs.Skip(t, err)
	require.NoError(t, err)
	t.Cleanup(s.Kill)
	return s
}

func open(t *testing.T, s *rig.RedisServer, o broker.Options) *Queue {
	q, err := Open(t.Context(), s.URL(), o)
	require.NoError(t, err)
	t.Cleanup(func() { die(q) })
	return q
}

// die ends a process's signs of life as kill -9 does: nothing is given back. A queue that has ended already is left
// alone.
func die(q *Queue) {
	if q.ending.Err() == nil {
		q.end()
		q.done.Wait()
		_ = q.rdb.Close()
	}
}

func TestQueue(t *testing.T) {
	s := server(t)
	r := &brokertest.Rig{
		URL: s.URL(),
		Open: func(ctx context.Context, url string, o broker.Options) (brokertest.Queue, error) {
			return Open(ctx, url, o)
		},
		Die: func(q brokertest.Queue) { die(q.(*Queue)) },
		Restart: func(between func()) error {
			s.Kill()
			between()
			return s.Start()
		},
	}
	brokertest.Restart(t, r)
	brokertest.Run(t, r)
}

// TestLateSettle: what a process settles that was held to be dead counts once.
func TestLateSettle(t *testing.T) {
	s := server(t)
	a, b := open(t, s, brokertest.Options(t)), open(t, s, brokertest.Options(t))
	brokertest.Begin(t, a, "m")
	brokertest.List(t, a, brokertest.File("x"))
	l := brokertest.Take(t, a, migrator.File)
	die(a)
	require.NoError(t, b.Settle(t.Context(), brokertest.Take(t, b, migrator.File),
		migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	late := open(t, s, brokertest.Options(t))
	args, err := settleArgs("files", l.Ref.(*held).id, &l.Item, migrator.Result{Outcome: migrator.Copied, Bytes: 3})
	require.NoError(t, err)
	require.NoError(t, late.settle(t.Context(), nil, args))
	require.NoError(t, late.settleAll(t.Context(), []ended{{id: l.Ref.(*held).id, bytes: 3}}))
	totals, err := b.Totals(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, totals.Copied)
	n, err := b.rdb.XLen(t.Context(), b.key("files")).Result()
	require.NoError(t, err)
	assert.Zero(t, n, "what is settled takes no memory")
}

func TestRefusals(t *testing.T) {
	open := func(s *rig.RedisServer, url string) error {
		if url == "" {
			url = s.URL()
		}
		o := broker.DefaultOptions()
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

// TestGreeting: a process that starts while connections are lost continues; without a server it ends immediately.
func TestGreeting(t *testing.T) {
	s := server(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	cut := 0
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if cut++; cut <= 3 {
				c.Close()
				continue
			}
			up, err := net.Dial("tcp", s.Addr)
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(up, c); up.Close() }()
			go func() { _, _ = io.Copy(c, up); c.Close() }()
		}
	}()
	o := brokertest.Options(t)
	q, err := Open(t.Context(), "redis://"+ln.Addr().String(), o)
	require.NoError(t, err)
	require.NoError(t, q.Close())

	began := time.Now()
	_, err = Open(t.Context(), "redis://127.0.0.1:1", o)
	assert.ErrorContains(t, err, "can't be reached")
	assert.Less(t, time.Since(began), greeting, "not asked again")
}

// TestBeginSeenWhole: a process that looks while another begins finds no migration or the whole of it.
func TestBeginSeenWhole(t *testing.T) {
	s := server(t)
	begins, looks := open(t, s, brokertest.Options(t)), open(t, s, brokertest.Options(t))
	for range 300 {
		begun := make(chan error, 1)
		require.NoError(t, begins.rdb.FlushAll(t.Context()).Err())
		go func() {
			_, err := begins.Begin(t.Context(), broker.Migration{ID: "m"}, brokertest.Root, false)
			begun <- err
		}()
		m, err := looks.Migration(t.Context())
		for errors.Is(err, broker.ErrNone) || errors.Is(err, broker.ErrLost) { // the one that was flushed
			m, err = looks.Migration(t.Context())
		}
		require.NoError(t, err)
		require.Equal(t, "m", m.ID)
		require.NoError(t, <-begun)
	}
}

// TestSuspects: what came from a dead process is settled when Settle returns, so that it isn't taken for what the next
// one dies of.
func TestSuspects(t *testing.T) {
	s := server(t)
	o := brokertest.Options(t)
	a, b := open(t, s, o), open(t, s, o)
	brokertest.Begin(t, a, "m")
	brokertest.List(t, a, brokertest.File("x"))
	brokertest.Take(t, a, migrator.File)
	die(a)
	l := brokertest.Take(t, b, migrator.File)
	require.True(t, l.Again)
	require.NoError(t, b.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	die(b)
	st, err := open(t, s, o).Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, st.Totals.Copied)
}

// TestPushTwice: a push whose reply got lost is sent again and enters once.
func TestPushTwice(t *testing.T) {
	s := server(t)
	q := open(t, s, brokertest.Options(t))
	brokertest.Begin(t, q, "m")
	require.NoError(t, settleScript.Load(t.Context(), q.rdb).Err())
	lose := &losing{}
	q.rdb.AddHook(lose)
	lose.next.Store(true)
	require.NoError(t, q.Push(t.Context(), brokertest.Files(3)...))
	require.EqualValues(t, 1, lose.lost.Load())
	require.NoError(t, q.Push(t.Context(), brokertest.File("another")))
	st, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 4, st.Files)
	assert.EqualValues(t, 4, st.Totals.Files)
	n, err := q.rdb.XLen(t.Context(), q.key("files")).Result()
	require.NoError(t, err)
	assert.EqualValues(t, 4, n)
}

// TestSettledTwice: an end whose reply got lost is sent again and counts once.
func TestSettledTwice(t *testing.T) {
	s := server(t)
	q := open(t, s, brokertest.Options(t))
	brokertest.Begin(t, q, "m")
	brokertest.List(t, q, brokertest.Files(2)...)
	lose := &losing{}
	q.rdb.AddHook(lose)
	for range 2 {
		l := brokertest.Take(t, q, migrator.File)
		lose.next.Store(true)
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
		require.NoError(t, q.ends.Flush(t.Context()))
	}
	require.EqualValues(t, 2, lose.lost.Load())
	st, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 2, st.Totals.Copied)
	assert.True(t, st.Done())
}

// losing is a network that loses a script's reply when the test asks for it.
type losing struct {
	next atomic.Bool
	lost atomic.Int64
}

func (l *losing) DialHook(next goredis.DialHook) goredis.DialHook { return next }
func (l *losing) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}
func (l *losing) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && cmd.Name() == "evalsha" && cmd.Args()[1] == settleScript.Hash() && l.next.CompareAndSwap(true,
			false) {
			l.lost.Add(1)
			err = io.ErrUnexpectedEOF
			cmd.SetErr(err)
		}
		return err
	}
}

// TestShare: however much a process wants, it takes a share of what waits.
func TestShare(t *testing.T) {
	s := server(t)
	o := brokertest.Options(t)
	o.Lease, o.Prefetch = time.Hour, 1000
	a, b := open(t, s, o), open(t, s, o)
	brokertest.Begin(t, a, "m")
	brokertest.List(t, a, brokertest.Files(900)...)
	require.NoError(t, a.renew(t.Context()))
	require.NoError(t, b.renew(t.Context()))
	for _, want := range []int{225, 168, 126} {
		l := brokertest.Take(t, a, migrator.File)
		got := 1 + len(a.lanes[migrator.File-1].ahead)
		assert.Equal(t, want, got, "a quarter of what waits, for two processes")
		for range got - 1 {
			require.NoError(t, a.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied}))
			l = brokertest.Take(t, a, migrator.File)
		}
	}
	brokertest.Take(t, b, migrator.File)
	assert.Len(t, b.lanes[migrator.File-1].ahead, 95-1)
}

// TestAdapt, by the clock of its bubble: a process takes more ahead while that is gone soon, and less when it lasts.
func TestAdapt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lane{}
		for _, step := range []struct {
			lasted time.Duration
			most   int
		}{{0, 4}, {time.Millisecond, 8}, {aheadFor / 4, 16}, {aheadFor * 3 / 4, 16}, {2 * aheadFor, 8}, {time.Minute, 4},
			{time.Minute, 4}} {
			time.Sleep(step.lasted)
			l.adapt(4)
			assert.Equal(t, step.most, l.most, "after %v", step.lasted)
			l.adapt(4)
			assert.Equal(t, step.most, l.most, "nothing came")
			l.filled = time.Now()
		}
		for range 10 {
			l.adapt(4)
			l.filled = time.Now()
		}
		assert.Equal(t, aheadMost, l.most)
	})
}

// TestFull: a settle that Redis has no memory for changes nothing; with memory it succeeds. A lost queue is said to be.
func TestFull(t *testing.T) {
	s := server(t)
	q := open(t, s, brokertest.Options(t))
	brokertest.Begin(t, q, "m")
	l := brokertest.Take(t, q, migrator.Folder)
	require.NoError(t, q.rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	r := migrator.Result{Outcome: migrator.Listed, Produced: brokertest.Files(5)}
	err := q.Settle(t.Context(), l, r)
	assert.ErrorContains(t, err, "is full")
	assert.NotContains(t, err.Error(), "\n")
	st, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, st.Folders)
	assert.Zero(t, st.Files)
	require.NoError(t, q.rdb.ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.NoError(t, q.Settle(t.Context(), l, r))
	f := brokertest.Take(t, q, migrator.File)
	require.NoError(t, q.rdb.ConfigSet(t.Context(), "maxmemory", "1mb").Err())
	require.NoError(t, q.Settle(t.Context(), f, migrator.Result{Outcome: migrator.Copied}))
	st, err = q.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, st.Totals.Copied, "uploads go on when Redis is full")

	require.NoError(t, q.rdb.FlushAll(t.Context()).Err())
	for err == nil { // items taken ahead come first
		_, err = q.Take(t.Context(), migrator.File)
	}
	assert.ErrorIs(t, err, broker.ErrLost)
	_, err = q.Take(t.Context(), migrator.Folder)
	assert.ErrorIs(t, err, broker.ErrLost)
	_, err = q.Status(t.Context())
	assert.ErrorIs(t, err, broker.ErrLost, "else a process that waits for the end waits for a beginning")
}

// TestItemsThatVanish: where open items were trimmed or deleted from the broker, those who wait for them end with one
// line that says so, and so does status; the migration can be begun again. What a live process has is not lost.
func TestItemsThatVanish(t *testing.T) {
	s := server(t)
	del := func(lane string) func(*testing.T, *Queue) {
		return func(t *testing.T, q *Queue) { require.NoError(t, q.rdb.Del(t.Context(), q.key(lane)).Err()) }
	}
	trim := func(t *testing.T, q *Queue) {
		require.NoError(t, q.rdb.XTrimMaxLen(t.Context(), q.key(filesLane), 0).Err())
	}
	deleteOne := func(t *testing.T, q *Queue) {
		all, err := q.rdb.XRange(t.Context(), q.key(filesLane), "-", "+").Result()
		require.NoError(t, err)
		require.NoError(t, q.rdb.XDel(t.Context(), q.key(filesLane), all[len(all)-1].ID).Err())
	}
	for name, c := range map[string]struct {
		die    bool // before, of a process that has taken the file
		vanish func(*testing.T, *Queue)
		lost   bool
	}{
		"trimmed":                    {vanish: trim, lost: true},
		"one deleted":                {vanish: deleteOne, lost: true},
		"the files' stream":          {vanish: del(filesLane), lost: true},
		"the folders' stream":        {vanish: del("folders:1"), lost: true},
		"the description":            {vanish: del("meta"), lost: true},
		"of a process that has died": {die: true, vanish: trim, lost: true},
		"nothing":                    {vanish: func(*testing.T, *Queue) {}},
	} {
		t.Run(name, func(t *testing.T) {
			o := brokertest.Options(t)
			holder, q := open(t, s, o), open(t, s, o)
			brokertest.Begin(t, holder, "m")
			brokertest.List(t, holder, brokertest.File("x"), brokertest.Folder("sub", 2))
			if c.die {
				brokertest.Take(t, holder, migrator.File)
				die(holder)
			}
			c.vanish(t, q)
			err := untilLost(t, q)
			if !c.lost {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				_, err = q.Status(t.Context())
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, broker.ErrLost)
			assert.NotContains(t, err.Error(), "\n")
			_, err = open(t, s, o).Begin(t.Context(), broker.Migration{ID: "again"}, brokertest.Root, true)
			require.NoError(t, err)
			brokertest.List(t, q, brokertest.File("y"))
			assert.Equal(t, "y", brokertest.Take(t, q, migrator.File).Item.ID)
		})
	}
}

// untilLost takes and keeps items until a Take ends otherwise: by a loss, or after some leases without a word.
func untilLost(t *testing.T, q *Queue) error {
	for _, k := range []migrator.Kind{migrator.Folder, migrator.File, migrator.File} {
		ctx, cancel := context.WithTimeout(t.Context(), 4*q.o.Lease)
		_, err := q.Take(ctx, k)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return context.DeadlineExceeded
}
