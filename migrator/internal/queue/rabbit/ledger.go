package rabbit

import (
	"encoding/json"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// ledger knows every item that is open: found and not settled. It is a plain state machine; the keeper feeds it with
// events and sees to it that its state outlives it. What isn't open is gone: events about it change nothing, so an
// event may come any number of times, and so may an item.
type ledger struct {
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
	files       map[itemID]*file
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
	parked   []parked
	products []product
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

func newLedger() *ledger {
	return &ledger{reasons: map[string]int64{}, lines: map[string]int{}, pages: map[uint64]*page{},
		listings: map[uint64]*listing{},
		files:    map[itemID]*file{}, pushes: map[string]int64{}}
}

// done says that nothing is open, of a migration that was begun.
func (l *ledger) done() bool { return l.migration != nil && len(l.pages) == 0 && l.openFiles == 0 }

// forget forgets the migration. Its pushes stay known: one may be on the way again.
func (l *ledger) forget() {
	fresh := newLedger()
	fresh.epoch, fresh.next, fresh.version, fresh.pushes = l.epoch, l.next, l.version, l.pushes
	*l = *fresh
}

// apply changes the state as an event says. The reply answers the event's question; an event without one gets none.
func (l *ledger) apply(e *event) (out []outgoing, r reply) {
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

// status fills in how far the migration is.
func (l *ledger) status(r *reply) {
	r.Schema, r.Run, r.Mine, r.Totals, r.Reasons = schema, l.run, l.migration, l.totals, l.reasons
	r.Folders, r.Files = int64(len(l.pages)), l.openFiles
}

func (l *ledger) begin(b *begin) []outgoing {
	if l.migration != nil {
		return nil
	}
	l.run, l.request, l.migration = b.Run, b.Request, b.Migration
	return l.produce([]product{b.Root})
}

// produce opens products and returns them to be published: each folder is a page, files are a listing of their own.
func (l *ledger) produce(products []product) (out []outgoing) {
	var files uint32
	var id uint64
	for _, p := range products {
		if p.Folder {
			n := l.number()
			l.pages[n] = &page{}
			if p.Found {
				l.totals.Folders++
			}
			out = append(out, outgoing{id: itemID{Page: n}, product: p})
			continue
		}
		if files == 0 {
			id = l.number()
		}
		files++
		l.totals.Files++
		l.totals.Size += p.Size
		out = append(out, outgoing{id: itemID{Page: id, Try: 1, N: files}, product: p})
	}
	if files > 0 {
		l.listings[id] = &listing{try: 1, left: files}
		l.openFiles += int64(files)
	}
	return out
}

// number returns one that no page has had. Those of an epoch that never came to be are in no state.
func (l *ledger) number() uint64 {
	l.next++
	return l.epoch<<40 | l.next
}

func (l *ledger) settle(s *settled) (out []outgoing) {
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
func (l *ledger) list(s *settled, p *page) (out []outgoing) {
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
func (l *ledger) settleEarly(p *page, s *settled) {
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
func (l *ledger) park(ps []parked) (out []outgoing) {
	for i := range ps {
		p := &ps[i]
		list := broker.CountParked(&l.totals, p.Outcome)
		broker.CountReason(l.reasons, list+": "+p.Reason, list+": other", maxReasons)
		if l.lines[list] < maxParked {
			l.lines[list]++
			out = append(out, outgoing{parked: p})
		}
	}
	return out
}

func (l *ledger) took(t *took) reply {
	if t.Run != l.run {
		return reply{Verdict: gone}
	}
	if t.ID.N > 0 {
		return l.tookFile(t)
	}
	p := l.pages[t.ID.Page]
	switch {
	case p == nil:
		return reply{Verdict: gone}
	case l.openFiles >= t.Limit:
		return reply{Verdict: wait}
	}
	if p.last != "" && p.last != t.Proc {
		p.deaths++
	}
	p.last = t.Proc
	p.tries++
	if p.deaths >= t.Deliveries {
		return reply{Verdict: poison, Try: p.tries, Deaths: p.deaths}
	}
	return reply{Verdict: goOn, Try: p.tries}
}

func (l *ledger) tookFile(t *took) reply {
	if l.pages[t.ID.Page] != nil {
		return reply{Verdict: goOn} // its listing is on the way
	}
	if !l.open(t.ID) {
		return reply{Verdict: gone}
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
	r := reply{Verdict: goOn, Deaths: f.deaths, State: f.state}
	if f.deaths >= t.Deliveries {
		r.Verdict = poison
	}
	return r
}

// open says that a file is.
func (l *ledger) open(id itemID) bool {
	b := l.listings[id.Page]
	return b != nil && b.try == id.Try && !b.done.has(id.N)
}

func (l *ledger) back(b *back) {
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
func (l *ledger) save(s *saved) {
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
