package ledger

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// snapshot is a ledger as JSON. What there can be very many of is in a short binary form.
type snapshot struct {
	Epoch     uint64           `json:"epoch"`
	Version   uint64           `json:"version"`
	Run       uint64           `json:"run"`
	Request   string           `json:"request,omitempty"`
	Migration json.RawMessage  `json:"migration,omitempty"`
	Totals    migrator.Totals  `json:"totals"`
	Reasons   map[string]int64 `json:"reasons,omitempty"`
	Lines     map[string]int   `json:"lines,omitempty"`
	Pages     []byte           `json:"pages,omitempty"`    // pages not taken
	Taken     []takenPage      `json:"taken,omitempty"`    // the others
	Listings  []byte           `json:"listings,omitempty"` //
	Files     []takenFile      `json:"files,omitempty"`
	Pushes    map[string]int64 `json:"pushes,omitempty"`
}

type takenPage struct {
	Page   uint64       `json:"page"`
	Tries  uint32       `json:"tries,omitempty"`
	Deaths int64        `json:"deaths,omitempty"`
	Last   string       `json:"last,omitempty"`
	Early  []savedEarly `json:"early,omitempty"`
}

type savedEarly struct {
	Try      uint32          `json:"try"`
	Done     bits            `json:"done"`
	Count    int64           `json:"count"`
	Totals   migrator.Totals `json:"totals"`
	Parked   []Parked        `json:"parked,omitempty"`
	Products []Product       `json:"products,omitempty"`
}

type takenFile struct {
	ID     ItemID `json:"id"`
	Deaths int64  `json:"deaths,omitempty"`
	Last   string `json:"last,omitempty"`
	State  []byte `json:"state,omitempty"`
}

// encode writes the ledger.
func (l *Ledger) encode() ([]byte, error) {
	s := snapshot{Epoch: l.epoch, Version: l.version, Run: l.run, Request: l.request, Migration: l.migration,
		Totals:  l.totals,
		Reasons: l.reasons, Lines: l.lines, Pushes: l.pushes}
	var last uint64
	for _, n := range slices.Sorted(maps.Keys(l.pages)) {
		p := l.pages[n]
		if p.tries == 0 && p.early == nil {
			s.Pages = binary.AppendUvarint(s.Pages, n-last)
			last = n
			continue
		}
		t := takenPage{Page: n, Tries: p.tries, Deaths: p.deaths, Last: p.last}
		for _, try := range slices.Sorted(maps.Keys(p.early)) {
			e := p.early[try]
			t.Early = append(t.Early, savedEarly{try, e.done, e.count, e.totals, e.parked, e.products})
		}
		s.Taken = append(s.Taken, t)
	}
	last = 0
	for _, n := range slices.Sorted(maps.Keys(l.listings)) {
		b := l.listings[n]
		s.Listings = binary.AppendUvarint(s.Listings, n-last)
		s.Listings = binary.AppendUvarint(s.Listings, uint64(b.try))
		s.Listings = binary.AppendUvarint(s.Listings, uint64(b.left))
		s.Listings = binary.AppendUvarint(s.Listings, uint64(len(b.done)))
		for _, w := range b.done {
			s.Listings = binary.AppendUvarint(s.Listings, w)
		}
		last = n
	}
	byID := func(a, b ItemID) int {
		return cmp.Or(cmp.Compare(a.Page, b.Page), cmp.Compare(a.Try, b.Try), cmp.Compare(a.N, b.N))
	}
	for _, id := range slices.SortedFunc(maps.Keys(l.files), byID) {
		f := l.files[id]
		s.Files = append(s.Files, takenFile{id, f.deaths, f.last, f.state})
	}
	return json.Marshal(&s)
}

var errSnapshot = errors.New("a damaged state")

// Decode reads what encode wrote.
func Decode(b []byte) (*Ledger, error) {
	var s snapshot
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w: %w", broker.ErrSchema, errSnapshot, err)
	}
	l := New()
	l.epoch, l.version, l.run, l.request, l.totals = s.Epoch, s.Version, s.Run, s.Request, s.Totals
	if len(s.Migration) > 0 && string(s.Migration) != "null" {
		l.migration = s.Migration
	}
	maps.Copy(l.reasons, s.Reasons)
	maps.Copy(l.lines, s.Lines)
	maps.Copy(l.pushes, s.Pushes)
	d := uvarints{b: s.Pages}
	for n := uint64(0); len(d.b) > 0; {
		n += d.next()
		l.pages[n] = &page{}
	}
	for _, t := range s.Taken {
		p := &page{tries: t.Tries, deaths: t.Deaths, last: t.Last}
		for _, e := range t.Early {
			if p.early == nil {
				p.early = map[uint32]*early{}
			}
			p.early[e.Try] = &early{e.Done, e.Count, e.Totals, e.Parked, e.Products}
		}
		l.pages[t.Page] = p
	}
	bad := d.bad
	d = uvarints{b: s.Listings}
	for n := uint64(0); len(d.b) > 0; {
		n += d.next()
		b := &listing{try: uint32(d.next()), left: uint32(d.next())}
		words := d.next()
		if words > maxFiles/64+1 {
			d.bad = true
			break
		}
		for range words {
			b.done = append(b.done, d.next())
		}
		l.listings[n] = b
		l.openFiles += int64(b.left)
	}
	for _, f := range s.Files {
		l.files[f.ID] = &file{f.Deaths, f.Last, f.State}
	}
	if bad || d.bad {
		return nil, fmt.Errorf("%w: %w", broker.ErrSchema, errSnapshot)
	}
	return l, nil
}

// uvarints reads numbers; at the first that is none it ends.
type uvarints struct {
	b   []byte
	bad bool
}

func (u *uvarints) next() uint64 {
	v, n := binary.Uvarint(u.b)
	if n <= 0 {
		u.b, u.bad = nil, true
		return 0
	}
	u.b = u.b[n:]
	return v
}
