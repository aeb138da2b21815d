package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// Ledger knows every item that is open: found and not settled. It is a plain state machine; the keeper feeds it with
// events and sees to it that its state outlives it. What isn't open is gone: events about it change nothing, so an
// event may come any number of times, and so may an item.
type Ledger struct {
	epoch, next uint64 // numbers of pages; the epoch is the keeper's
	version     uint64
	run         uint64 // names the migration
	request     string // of the last begin
	migration   json.RawMessage
	totals      migrator.Totals
	reasons     map[string]int64
	lines       map[string]int // parked, by outcome
	pages       map[uint64]*page
	listings    map[uint64]*listing // settled pages with files that are open, by page
	openFiles   int64
	files       map[ItemID]*file
	pushes      map[string]int64 // the last of each process that made any
}

// page is a page that is open.
type page struct {
	tries  uint32
	deaths int64
	last   string // process that took it last; empty when it gave it back
	early  map[uint32]*early
}

// early counts files of a listing that were settled before the listing itself.
type early struct {
	done     bits
	count    int64
	totals   migrator.Totals
	parked   []Parked
	products []Product
}

// listing is a page that was listed, with files that are open.
type listing struct {
	try  uint32
	left uint32
	done bits
}

// file is an open file that was delivered more than once or has saved progress.
type file struct {
	deaths int64
	last   string
	state  []byte
}

// New is the state before any migration.
func New() *Ledger {
	return &Ledger{reasons: map[string]int64{}, lines: map[string]int{}, pages: map[uint64]*page{},
		listings: map[uint64]*listing{},
		files:    map[ItemID]*file{}, pushes: map[string]int64{}}
}

// Done says that nothing is open, of a migration that was begun.
func (l *Ledger) Done() bool { return l.migration != nil && len(l.pages) == 0 && l.openFiles == 0 }

// Newer says that l was committed after the other.
func (l *Ledger) Newer(other *Ledger) bool {
	return l.epoch > other.epoch || l.epoch == other.epoch && l.version > other.version
}

// Earlier says that l is of a keeper before the other's.
func (l *Ledger) Earlier(other *Ledger) bool { return l.epoch < other.epoch }

// Succeed begins the epoch of a new keeper, so many after the last.
func (l *Ledger) Succeed(epochs uint64) {
	l.epoch += epochs
	l.next = 0
}

// Replaced says that a begin ends the migration that is there.
func (l *Ledger) Replaced(b *Begin) bool {
	return b != nil && b.Restart && l.migration != nil && l.request != b.Request
}

// Commit returns the next version as a message, and its name.
func (l *Ledger) Commit() (state []byte, name string, err error) {
	l.version++
	state, err = l.encode()
	return state, fmt.Sprintf("%d.%d", l.epoch, l.version), err
}

// Forget forgets the migration. Its pushes stay known: one may be on the way again.
func (l *Ledger) Forget() {
	fresh := New()
	fresh.epoch, fresh.next, fresh.version, fresh.pushes = l.epoch, l.next, l.version, l.pushes
	*l = *fresh
}

// Apply changes the state as an event says. The reply answers the event's question; an event without one gets none.
func (l *Ledger) Apply(e *Event) (out []Outgoing, r Reply) {
	switch {
	case e.Begin != nil:
		out = l.begin(e.Begin)
	case e.Took != nil:
		r = l.took(e.Took)
	case e.Back != nil:
		l.back(e.Back)
	case e.State != nil:
		l.save(e.State)
	}
	if p := e.Push; p != nil {
		if p.N <= l.pushes[p.Proc] {
			return nil, r
		}
		l.pushes[p.Proc] = p.N
	}
	for i := range e.Settled {
		out = append(out, l.settle(&e.Settled[i])...)
	}
	return out, r
}

// Status fills in how far the migration is.
func (l *Ledger) Status(r *Reply) {
	r.Schema, r.Run, r.Mine, r.Totals, r.Reasons = Schema, l.run, l.migration, l.totals, l.reasons
	r.Folders, r.Files = int64(len(l.pages)), l.openFiles
}

func (l *Ledger) begin(b *Begin) []Outgoing {
	if l.migration != nil {
		return nil
	}
	l.run, l.request, l.migration = b.Run, b.Request, b.Migration
	return l.produce([]Product{b.Root})
}

// produce opens products and returns them to be published: each folder is a page, files are a listing of their own.
func (l *Ledger) produce(products []Product) (out []Outgoing) {
	var files uint32
	var id uint64
	for _, p := range products {
		if p.Folder {
			n := l.number()
			l.pages[n] = &page{}
			if p.Found {
				l.totals.Folders++
			}
			out = append(out, Outgoing{id: ItemID{Page: n}, product: p})
			continue
		}
		if files == 0 {
			id = l.number()
		}
		files++
		l.totals.Files++
		l.totals.Size += p.Size
		out = append(out, Outgoing{id: ItemID{Page: id, Try: 1, N: files}, product: p})
	}
	if files > 0 {
		l.listings[id] = &listing{try: 1, left: files}
		l.openFiles += int64(files)
	}
	return out
}

// number returns one that no page has had. Those of an epoch that never came to be are in no state.
func (l *Ledger) number() uint64 {
	l.next++
	return l.epoch<<40 | l.next
}

func (l *Ledger) settle(s *Settled) (out []Outgoing) {
	switch {
	case s.ID.Page == 0:
		return l.produce(s.Products)
	case s.Run != l.run:
		return nil
	case s.ID.N == 0:
		p := l.pages[s.ID.Page]
		if p == nil {
			return nil
		}
		delete(l.pages, s.ID.Page)
		out = l.list(s, p)
	case l.pages[s.ID.Page] != nil:
		l.settleEarly(l.pages[s.ID.Page], s)
		return nil
	default:
		b := l.listings[s.ID.Page]
		if b == nil || b.try != s.ID.Try || !b.done.set(s.ID.N) {
			return nil
		}
		l.openFiles--
		if b.left--; b.left == 0 {
			delete(l.listings, s.ID.Page)
		}
		delete(l.files, s.ID)
	}
	broker.Count(&l.totals, s.Outcome, s.Bytes)
	out = append(out, l.park(s.Parked)...)
	return append(out, l.produce(s.Products)...)
}

// list opens the files of a listing, except those that are done already.
func (l *Ledger) list(s *Settled, p *page) (out []Outgoing) {
	b := &listing{try: s.ID.Try, left: s.Files}
	l.totals.Files += int64(s.Files)
	l.totals.Size += s.Size
	if e := p.early[s.ID.Try]; e != nil {
		b.done, b.left = e.done, s.Files-uint32(e.count)
		broker.Add(&l.totals, &e.totals)
		out = append(l.park(e.parked), l.produce(e.products)...)
	}
	if b.left > 0 {
		l.listings[s.ID.Page] = b
		l.openFiles += int64(b.left)
	}
	return out
}

// settleEarly keeps what becomes of a file until its page is settled: by this listing or by another.
func (l *Ledger) settleEarly(p *page, s *Settled) {
	e := p.early[s.ID.Try]
	if e == nil {
		if p.early == nil {
			p.early = map[uint32]*early{}
		}
		e = &early{}
		p.early[s.ID.Try] = e
	}
	if e.done.set(s.ID.N) {
		e.count++
		broker.Count(&e.totals, s.Outcome, s.Bytes)
		e.parked, e.products = append(e.parked, s.Parked...), append(e.products, s.Products...)
	}
}

// park counts the items given up or left out, and returns the lines that are kept.
func (l *Ledger) park(ps []Parked) (out []Outgoing) {
	for i := range ps {
		p := &ps[i]
		list := broker.CountParked(&l.totals, p.Outcome)
		broker.CountReason(l.reasons, list+": "+p.Reason, list+": other", maxReasons)
		if l.lines[list] < maxParked {
			l.lines[list]++
			out = append(out, Outgoing{parked: p})
		}
	}
	return out
}

// Message returns an outgoing item or parked line as published, and the queue that it goes to.
func (l *Ledger) Message(o *Outgoing) (queue string, body []byte, err error) {
	if o.parked != nil {
		body, err = json.Marshal(o.parked)
		return QueueParked + "." + broker.CountParked(&migrator.Totals{}, o.parked.Outcome), body, err
	}
	w := Work{Run: l.run, ID: o.id, Level: o.product.Level, Item: o.product.Payload}
	return w.Queue(), Bundle{w}.Encode(), nil
}

func (l *Ledger) took(t *Took) Reply {
	if t.Run != l.run {
		return Reply{Verdict: Gone}
	}
	if t.ID.N > 0 {
		return l.tookFile(t)
	}
	p := l.pages[t.ID.Page]
	switch {
	case p == nil:
		return Reply{Verdict: Gone}
	case l.openFiles >= t.Limit:
		return Reply{Verdict: Wait}
	}
	if p.last != "" && p.last != t.Proc {
		p.deaths++
	}
	p.last = t.Proc
	p.tries++
	if p.deaths >= t.Deliveries {
		return Reply{Verdict: Poison, Try: p.tries, Deaths: p.deaths}
	}
	return Reply{Verdict: GoOn, Try: p.tries}
}

func (l *Ledger) tookFile(t *Took) Reply {
	if l.pages[t.ID.Page] != nil {
		return Reply{Verdict: GoOn} // its listing is on the way
	}
	if !l.open(t.ID) {
		return Reply{Verdict: Gone}
	}
	f := l.files[t.ID]
	if f == nil {
		f = &file{}
		l.files[t.ID] = f
		if t.Redelivered {
			f.deaths++ // of a process that needn't ask
		}
	} else if f.last != "" && f.last != t.Proc {
		f.deaths++
	}
	f.last = t.Proc
	r := Reply{Verdict: GoOn, Deaths: f.deaths, State: f.state}
	if f.deaths >= t.Deliveries {
		r.Verdict = Poison
	}
	return r
}

// open says that a file is.
func (l *Ledger) open(id ItemID) bool {
	b := l.listings[id.Page]
	return b != nil && b.try == id.Try && !b.done.has(id.N)
}

func (l *Ledger) back(b *Back) {
	if b.Run != l.run {
		return
	}
	if p := l.pages[b.ID.Page]; b.ID.N == 0 && p != nil && p.last == b.Proc {
		p.last = ""
	}
	if f := l.files[b.ID]; f != nil && f.last == b.Proc {
		f.last = ""
	}
}

// save keeps the progress of a file, except of one whose listing is still on the way: that one would begin again.
func (l *Ledger) save(s *Saved) {
	if s.Run != l.run || !l.open(s.ID) {
		return
	}
	f := l.files[s.ID]
	if f == nil {
		f = &file{}
		l.files[s.ID] = f
	}
	f.last, f.state = s.Proc, s.State
}

// bits is a set of numbers from 1.
type bits []uint64

// maxFiles bounds the files of a listing: a page of Drive has at most 1,000 entries.
const maxFiles = 1 << 20

// set says whether n is new.
func (b *bits) set(n uint32) bool {
	if n == 0 || n > maxFiles || b.has(n) {
		return false
	}
	for int(n/64) >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[n/64] |= 1 << (n % 64)
	return true
}

func (b bits) has(n uint32) bool { return int(n/64) < len(b) && b[n/64]&(1<<(n%64)) != 0 }
