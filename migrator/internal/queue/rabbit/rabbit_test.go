package rabbit

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker/brokertest"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

var shared struct {
	sync.Once
	*rig.RabbitServer
	dir string
	err error
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // tests wait for the broker more than for a processor
		panic(err)
	}
	code := m.Run()
	if shared.RabbitServer != nil {
		shared.Stop()
	}
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// server is the package's broker.
func server(t *testing.T) *rig.RabbitServer {
	shared.Do(func() {
		if shared.dir, shared.err = rig.ServerDir(); shared.err == nil {
			shared.RabbitServer, shared.err = rig.Rabbit(context.Background(), shared.dir)
		}
	})
	needs.Skip(t, shared.err)
	require.NoError(t, shared.err)
	return shared.RabbitServer
}

// steady makes connections outlive a machine that stands still for seconds: a dead process's end without that.
func steady(o broker.Options) broker.Options {
	o.Lease = time.Minute
	return o
}

func open(t *testing.T, o broker.Options) *Queue {
	q, err := Open(t.Context(), server(t).URL(), steady(o))
	require.NoError(t, err)
	t.Cleanup(func() { die(q) })
	return q
}

// die ends a process's connection as kill -9 does: nothing is given back.
func die(q *Queue) {
	q.break_(broker.ErrClosed)
	q.mu.Lock()
	s := q.now
	q.mu.Unlock()
	if s != nil {
		s.Fail(broker.ErrClosed)
		s.Wait()
	}
	q.end()
	q.done.Wait()
}

func testRig(t *testing.T) *brokertest.Rig {
	s := server(t)
	return &brokertest.Rig{
		URL: s.URL(),
		Open: func(ctx context.Context, url string, o broker.Options) (brokertest.Queue, error) {
			return Open(ctx, url, steady(o))
		},
		Die: func(q brokertest.Queue) { die(q.(*Queue)) },
		Restart: func(between func()) error {
			s.Kill()
			between()
			return s.Start()
		},
	}
}

// TestRestart and TestFull stop the broker for all: they run before the others, which run side by side.
func TestRestart(t *testing.T) { brokertest.Restart(t, testRig(t)) }

func TestQueue(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, testRig(t))
}

// TestKeeperDies: the ledger is taken over by another process, with all events applied.
func TestKeeperDies(t *testing.T) {
	t.Parallel()
	o := brokertest.Options(t)
	o.Prefetch = 1
	keeper := open(t, o)
	brokertest.Begin(t, keeper, "m") // the first to be there keeps the ledger
	a := open(t, o)
	brokertest.List(t, a, append(brokertest.Files(20), brokertest.Folder("sub", 2))...)
	die(keeper)
	for i := range 20 {
		require.NoError(t, a.Settle(t.Context(), brokertest.Take(t, a, migrator.File),
			migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
		if i%5 == 0 {
			next := open(t, o)
			_, err := next.Status(t.Context())
			require.NoError(t, err)
			require.NoError(t, a.ends.Flush(t.Context())) // items whose end it hasn't sent come again
			die(a)
			a = next
		}
	}
	st, err := a.Status(t.Context())
	require.NoError(t, err)
	assert.False(t, st.Done(), "a folder is left")
	brokertest.List(t, a)
	st, err = a.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	assert.Equal(t, migrator.Totals{Folders: 2, Files: 20, Size: 60, Listed: 2, Copied: 20, Bytes: 60}, st.Totals)
}

// TestOrphansAreRemoved: items of a listing that never counted don't stay in the broker.
func TestOrphansAreRemoved(t *testing.T) {
	t.Parallel()
	q := open(t, brokertest.Options(t))
	brokertest.Begin(t, q, "m")
	l := brokertest.Take(t, q, migrator.Folder)
	h := l.Ref.(*held)
	var orphans ledger.Bundle
	for n := range uint32(5) {
		b, err := new(migrator.Item{Kind: migrator.File, ID: "orphan"}).AppendBinary(nil)
		require.NoError(t, err)
		id := ledger.ItemID{Page: h.work.ID.Page, Try: h.work.ID.Try + 1, N: n + 1}
		orphans = append(orphans, ledger.Work{Run: h.work.Run, ID: id, Item: b})
	}
	require.NoError(t, q.send(t.Context(), []ledger.Bundle{orphans}))
	require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed}))
	st, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Zero(c, ready(t, q, ledger.QueueFiles))
	}, time.Minute, 20*time.Millisecond)
}

// ready is how many messages wait in a queue.
func ready(t *testing.T, q *Queue, name string) int {
	s, err := q.session(t.Context())
	require.NoError(t, err)
	ch, err := s.Broker.Channel()
	require.NoError(t, err)
	defer ch.Close()
	got, err := ch.QueueDeclarePassive(q.name(name), true, false, false, false, nil)
	require.NoError(t, err)
	return got.Messages
}

// raw is a connection of another program.
func raw(t *testing.T) *amqp.Channel {
	c, err := amqp.Dial(server(t).URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	ch, err := c.Channel()
	require.NoError(t, err)
	return ch
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := server(t)
	o := steady(brokertest.Options(t))
	patient := o
	o.Patience = 0
	refused := func(url string, o broker.Options) error {
		q, err := Open(t.Context(), url, o)
		if err == nil {
			t.Cleanup(func() { die(q) })
			return nil
		}
		assert.NotContains(t, err.Error(), "\n")
		return err
	}
	other := o
	other.Name += "-classic"
	_, err := raw(t).QueueDeclare(other.Name+"."+ledger.QueueState, true, false, false, false, nil)
	require.NoError(t, err)
	assert.ErrorIs(t, refused(s.URL(), other), broker.ErrSchema, "a queue of somebody else")

	other.Name = o.Name + "-newer"
	patient.Name = other.Name
	q, err := Open(t.Context(), s.URL(), patient)
	require.NoError(t, err)
	brokertest.Begin(t, q, "m")
	require.NoError(t, q.Close())
	newer := amqp.Publishing{Type: "migrator/rabbit/9", AppId: "state", DeliveryMode: amqp.Persistent, Body: []byte("?")}
	require.NoError(t, raw(t).PublishWithContext(t.Context(), "", other.Name+"."+ledger.QueueState, true, false, newer))
	err = refused(s.URL(), other)
	assert.ErrorIs(t, err, broker.ErrSchema)
	assert.ErrorContains(t, err, "migrator/rabbit/9")

	err = refused("amqp://guest:wrong@"+s.Addr, o)
	assert.ErrorContains(t, err, "refuses the credentials")
	assert.NotContains(t, err.Error(), "wrong")
	assert.ErrorContains(t, refused(s.URL()+"/nowhere", o), `virtual host "nowhere"`)
	assert.ErrorContains(t, refused("amqp://guest:guest@127.0.0.1:1", o), "can't be reached")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			c.Close()
		}
	}()
	assert.ErrorContains(t, refused("amqp://guest:guest@"+ln.Addr().String(), o), "can't be reached", "no RabbitMQ at all")
}

// TestFull: while the broker is full everything waits; for too long, and calls end with one line. Nothing is lost.
func TestFull(t *testing.T) {
	s := server(t)
	o := brokertest.Options(t)
	o.Patience = 200 * time.Millisecond
	impatient, patient := open(t, o), open(t, brokertest.Options(t))
	brokertest.Begin(t, impatient, "m")
	_, err := patient.Migration(t.Context())
	require.NoError(t, err)
	l := brokertest.Take(t, impatient, migrator.Folder)
	require.NoError(t, s.Control(t.Context(), "set_vm_memory_high_watermark", "0.0001"))
	full := true
	relieve := func() {
		if full {
			full = false
			assert.NoError(t, s.Control(context.Background(), "set_vm_memory_high_watermark", "0.4"))
		}
	}
	defer relieve()
	err = impatient.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: brokertest.Files(5)})
	assert.ErrorContains(t, err, "is full")
	assert.NotContains(t, err.Error(), "\n")
	_, err = impatient.Take(t.Context(), migrator.File)
	assert.ErrorContains(t, err, "is full", "no call waits again")
	_, err = Open(t.Context(), s.URL(), o)
	assert.ErrorContains(t, err, "is full")
	assert.NotContains(t, err.Error(), "\n")
	waits := make(chan error, 1)
	go func() {
		_, err := patient.Migration(t.Context())
		waits <- err
	}()
	relieve()
	require.NoError(t, <-waits, "what waited goes on")
	require.NoError(t, patient.Close())

	q := open(t, brokertest.Options(t))
	brokertest.List(t, q, brokertest.Files(5)...)
	// What the broker had of the listing that it was too full for comes as well, and counts nothing.
	brokertest.Drain(t, q)
	st, err := q.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	assert.EqualValues(t, 5, st.Totals.Copied)
	assert.EqualValues(t, 5, st.Totals.Files)
}

// TestLost: a migration whose queues were removed is said to be lost.
func TestLost(t *testing.T) {
	t.Parallel()
	q := open(t, brokertest.Options(t))
	brokertest.Begin(t, q, "m")
	ch := raw(t)
	for _, name := range ledger.AllQueues() {
		_, err := ch.QueueDelete(q.name(name), false, false, false)
		require.NoError(t, err)
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		_, err := q.Take(t.Context(), migrator.File)
		assert.ErrorIs(c, err, broker.ErrLost)
	}, time.Minute, 10*time.Millisecond)
}

// TestLostItems: items that are gone from the broker, after a purge, are said to be lost, by every call; the migration
// isn't done. Begun again it continues, and the rest of the old one counts nothing.
func TestLostItems(t *testing.T) {
	t.Parallel()
	o := steady(brokertest.Options(t))
	var qs []*Queue
	for range 2 {
		q, err := openWith(t.Context(), server(t).URL(), o, &link.Limits{Silence: 4 * time.Second, Lost: 2 * time.Second})
		require.NoError(t, err)
		t.Cleanup(func() { die(q) })
		qs = append(qs, q)
	}
	brokertest.Begin(t, qs[0], "m")
	brokertest.List(t, qs[0], append(brokertest.Files(5), brokertest.Folder("sub", 2))...)
	folder := brokertest.Take(t, qs[0], migrator.Folder)
	_, err := raw(t).QueuePurge(qs[0].name(ledger.QueueFiles), false)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	_, err = qs[1].Take(ctx, migrator.File)
	require.ErrorIs(t, err, broker.ErrLost)
	assert.NotContains(t, err.Error(), "\n")
	_, err = qs[0].Status(t.Context())
	require.ErrorIs(t, err, broker.ErrLost)

	_, err = qs[1].Begin(t.Context(), broker.Migration{ID: "m"}, brokertest.Root, true)
	require.NoError(t, err)
	require.NoError(t, qs[0].Settle(t.Context(), folder, migrator.Result{Outcome: migrator.Listed,
		Produced: brokertest.Files(7)}))
	brokertest.List(t, qs[1], brokertest.File("x"))
	l := brokertest.Take(t, qs[1], migrator.File)
	for l.Item.ID != "x" {
		l = brokertest.Take(t, qs[1], migrator.File)
	}
	require.NoError(t, qs[1].Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied}))
	st, err := qs[1].Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	assert.Equal(t, migrator.Totals{Folders: 1, Files: 1, Size: 3, Listed: 1, Copied: 1}, st.Totals)
}

// deaf forwards connections to a server. Those that deafen finds hear nothing more from it, not even an error.
type deaf struct {
	ln net.Listener

	mu    sync.Mutex
	conns []*atomic.Bool
}

func newDeaf(t *testing.T, to string) *deaf {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &deaf{ln: ln}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			silent := new(atomic.Bool)
			d.mu.Lock()
			d.conns = append(d.conns, silent)
			d.mu.Unlock()
			go func() {
				defer up.Close()
				_, _ = io.Copy(up, c)
			}()
			go func() {
				defer c.Close()
				_, _ = io.Copy(writer(func(b []byte) (int, error) {
					if silent.Load() {
						return len(b), nil
					}
					return c.Write(b)
				}), up)
			}()
		}
	}()
	return d
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// deafen returns how many connections there were.
func (d *deaf) deafen() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, silent := range d.conns {
		silent.Store(true)
	}
	return len(d.conns)
}

// TestSilence: a connection on which nothing comes any more, no confirmation, no answer, no item, is given up for
// another one.
func TestSilence(t *testing.T) {
	t.Parallel()
	d := newDeaf(t, server(t).Addr)
	o := steady(brokertest.Options(t))
	o.Prefetch = 1
	q, err := openWith(t.Context(), "amqp://guest:guest@"+d.ln.Addr().String(), o,
		&link.Limits{Silence: 500 * time.Millisecond, Lost: time.Hour})
	require.NoError(t, err)
	t.Cleanup(func() { die(q) })
	brokertest.Begin(t, q, "m")
	for name, call := range map[string]func() error{
		"settle a folder": func() error {
			l := brokertest.Take(t, q, migrator.Folder)
			d.deafen()
			return q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: append(brokertest.Files(3),
				brokertest.Folder("next", 2))})
		},
		"status": func() error {
			d.deafen()
			_, err := q.Status(t.Context())
			return err
		},
		"parked": func() error {
			d.deafen()
			_, err := q.Parked(t.Context(), migrator.Failed, 1)
			return err
		},
		"push": func() error {
			before, err := q.Status(t.Context())
			require.NoError(t, err)
			d.deafen()
			require.NoError(t, q.Push(t.Context(), brokertest.File("pushed")))
			after, err := q.Status(t.Context())
			assert.Equal(t, before.Totals.Files+1, after.Totals.Files, "what is sent again enters once")
			return err
		},
		"lock": func() error {
			d.deafen()
			unlock, err := q.Lock(t.Context(), "key")
			if err == nil {
				unlock()
			}
			return err
		},
		"take": func() error {
			d.deafen()
			l := brokertest.Take(t, q, migrator.Folder)
			return q.Settle(t.Context(), l, migrator.Result{})
		},
	} {
		require.NoError(t, call(), name)
	}
	assert.Greater(t, d.deafen(), 4, "connections")
}
