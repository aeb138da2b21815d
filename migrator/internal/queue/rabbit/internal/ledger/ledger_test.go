package ledger

import (
	"fmt"
	rand "math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// model is a broker and processes, without any of their code: messages that are ready, events, and a committed ledger.
// At every step something may come twice, in another order, or from a keeper that dies.
type model struct {
	t         *testing.T
	rnd       *rand.Rand
	committed []byte
	work      []Work  // ready
	events    []Event // applied and not committed
	settled   map[string]int
	epoch     uint64
}

// tree is what listing finds: folders three deep, with files.
func (m *model) children(name string) (files int, folders []string) {
	depth := len(name)
	if depth >= 4 {
		return 3, nil
	}
	return depth, []string{name + "a", name + "b"}
}

// step lets the ledger's keeper handle some events; it may die before or after what comes of them is published.
func (m *model) keep() {
	l, err := Decode(m.committed)
	require.NoError(m.t, err)
	m.epoch++
	l.epoch, l.next = m.epoch, 0
	n := m.rnd.IntN(len(m.events) + 1)
	for i := range n {
		out, _ := l.Apply(&m.events[i])
		for _, o := range out {
			if o.parked == nil {
				m.work = append(m.work, Work{ID: o.id, Item: o.product.Payload})
			}
		}
	}
	if m.rnd.IntN(3) == 0 {
		return // dies: the events come again
	}
	m.committed, err = l.encode()
	require.NoError(m.t, err)
	m.events = append([]Event{}, m.events[n:]...)
}

// take lets a process have an item and die in the middle, or be done with it.
func (m *model) take() {
	if len(m.work) == 0 {
		return
	}
	i := m.rnd.IntN(len(m.work))
	w := m.work[i]
	name := string(w.Item)
	l, err := Decode(m.committed)
	require.NoError(m.t, err)
	if w.ID.N == 0 {
		r := l.took(&Took{ID: w.ID, Proc: fmt.Sprint(m.rnd.IntN(5)), Limit: 1 << 30, Deliveries: 1 << 30})
		if m.committed, err = l.encode(); r.Verdict == Gone {
			m.drop(i)
			return
		}
		if !m.list(w.ID.Page, r.Try, name) {
			return // dies; the item comes again
		}
	} else {
		m.settled[name]++
		m.tell(Event{Settled: []Settled{{ID: w.ID, Outcome: migrator.Copied, Bytes: 1}}})
	}
	require.NoError(m.t, err)
	if m.rnd.IntN(3) > 0 {
		m.drop(i) // else it dies before it acknowledges, and the item comes again
	}
}

func (m *model) drop(i int) { m.work = append(m.work[:i], m.work[i+1:]...) }

// tell puts events in no order at all.
func (m *model) tell(e Event) {
	i := m.rnd.IntN(len(m.events) + 1)
	m.events = append(m.events[:i], append([]Event{e}, m.events[i:]...)...)
}

// list publishes files, and may die before the listing is settled.
func (m *model) list(page uint64, try uint32, name string) bool {
	s := Settled{ID: ItemID{Page: page, Try: try}, Outcome: migrator.Listed}
	files, folders := m.children(name)
	for n := range files {
		s.Files++
		m.work = append(m.work, Work{ID: ItemID{page, try, s.Files}, Item: []byte(fmt.Sprintf("%s/%d", name, n))})
		if m.rnd.IntN(20) == 0 {
			return false
		}
	}
	for _, f := range folders {
		s.Products = append(s.Products, Product{Folder: true, Found: true, Payload: []byte(f)})
	}
	m.tell(Event{Settled: []Settled{s}})
	return true
}

// TestEveryItemCountsOnce is the argument of the package comment, tried: whatever dies and however often things come,
// the ledger is at its end if and only if each file was settled, and each counts once.
func TestEveryItemCountsOnce(t *testing.T) {
	for seed := range uint64(100) {
		m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), settled: map[string]int{}}
		l := New()
		l.epoch = 1
		m.epoch = 1
		out := l.begin(&Begin{Migration: []byte(`{}`), Root: Product{Folder: true, Found: true, Payload: []byte("r")}})
		m.work = append(m.work, Work{ID: out[0].id, Item: out[0].product.Payload})
		var err error
		m.committed, err = l.encode()
		require.NoError(t, err)
		for step := 0; !l.Done(); step++ {
			require.Less(t, step, 100_000, "seed %d: it doesn't end", seed)
			if m.rnd.IntN(4) == 0 {
				m.keep()
			} else {
				m.take()
			}
			l, err = Decode(m.committed)
			require.NoError(t, err)
			require.False(t, !l.Done() && len(m.work) == 0 && len(m.events) == 0, "seed %d: open items that are nowhere", seed)
		}
		want := 1 + 2*2 + 4*3 + 8*3 // files of folders one to four deep
		require.Len(t, m.settled, want, "seed %d", seed)
		require.EqualValues(t, want, l.totals.Files, "seed %d", seed)
		require.EqualValues(t, want, l.totals.Copied, "seed %d", seed)
		require.EqualValues(t, 15, l.totals.Folders, "seed %d", seed)
		require.EqualValues(t, 15, l.totals.Listed, "seed %d", seed)
	}
}

// TestPushEntersOnce: a push that is sent again, or comes late after the next, opens nothing, also for the keeper after
// this one and after the migration was begun again.
func TestPushEntersOnce(t *testing.T) {
	l := New()
	push := func(proc string, n int64) int {
		out, _ := l.Apply(&Event{Settled: []Settled{{Products: []Product{{Size: 1}}}}, Push: &Push{proc, n}})
		return len(out)
	}
	assert.Equal(t, []int{1, 0, 1, 0, 1}, []int{push("a", 1), push("a", 1), push("a", 5), push("a", 1), push("b", 1)})
	b, err := l.encode()
	require.NoError(t, err)
	l, err = Decode(b)
	require.NoError(t, err)
	assert.Equal(t, []int{0, 0, 1}, []int{push("a", 5), push("b", 1), push("b", 2)})
	l.Forget()
	assert.Equal(t, []int{0, 1}, []int{push("a", 5), push("a", 6)})
}

func TestSnapshot(t *testing.T) {
	l := New()
	l.epoch, l.version = 3, 7
	var root Product
	root.Folder, root.Found = true, true
	l.begin(&Begin{Request: "r", Migration: []byte(`{"id":"m"}`), Root: root})
	var folders []Product
	for range 3 {
		folders = append(folders, root)
	}
	l.Apply(&Event{Settled: []Settled{{ID: ItemID{Page: 3<<40 | 1, Try: 1}, Outcome: migrator.Listed, Files: 200, Size: 9,
		Products: folders}}})
	file := ItemID{3<<40 | 1, 1, 150}
	l.Apply(&Event{Settled: []Settled{{ID: ItemID{3<<40 | 1, 1, 199}, Outcome: migrator.Copied, Bytes: 5}}})
	l.Apply(&Event{State: &Saved{ID: file, Proc: "p", State: []byte("half")}})
	l.Apply(&Event{Took: &Took{ID: ItemID{Page: 3<<40 | 2}, Proc: "p", Limit: 1000, Deliveries: 3}})
	early := Settled{ID: ItemID{3<<40 | 2, 1, 70}, Outcome: migrator.Failed, Parked: []Parked{{migrator.Parked{ID: "x",
		Reason: "why"}, migrator.Failed}}}
	l.Apply(&Event{Settled: []Settled{early}})
	l.Apply(&Event{Settled: []Settled{{Products: []Product{{Size: 1}}}}, Push: &Push{"p", 4}})
	b, err := l.encode()
	require.NoError(t, err)
	again, err := Decode(b)
	require.NoError(t, err)
	again.next = l.next // which a new epoch begins again
	assert.Equal(t, l, again)
	for n := range b {
		if l, err := Decode(b[:n]); err == nil {
			t.Fatalf("cut at %d of %d: %+v", n, len(b), l)
		}
	}
	_, err = Decode([]byte(`{"listings":"/w=="}`))
	assert.ErrorIs(t, err, broker.ErrSchema)
}

// TestSnapshotStaysSmall: with 100,000 files open, one in each folder, the state takes few bytes for each.
func TestSnapshotStaysSmall(t *testing.T) {
	l := New()
	const files = 100_000
	for n := range uint64(files) {
		id := 1<<40 | n + 1
		l.pages[id] = &page{}
		l.Apply(&Event{Settled: []Settled{{ID: ItemID{Page: id, Try: 1}, Outcome: migrator.Listed, Files: 1, Size: 5}}})
	}
	b, err := l.encode()
	require.NoError(t, err)
	assert.Less(t, len(b), 8*files)
	l, err = Decode(b)
	require.NoError(t, err)
	assert.EqualValues(t, files, l.openFiles)
}
