package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/migrator"
)

// The types of journal entries.
const (
	entrySnapshot byte = iota + 1
	entryPush
	entrySettle
	entryTake
	entryState
)

// magic begins a journal; its last byte is the version.
const magic = "migratorq\x00\x01"

func (q *Queue) journalPath(gen uint64) string {
	return filepath.Join(q.dir, fmt.Sprintf("journal-%016x", gen))
}

// log appends an entry to the journal.
func (q *Queue) log(entry []byte) error {
	if q.broken != nil {
		return q.broken
	}
	q.buf = appendRecord(q.buf[:0], entry)
	if _, err := q.journal.WriteAt(q.buf, q.size); err != nil {
		return q.fail(err)
	}
	q.size += int64(len(q.buf))
	return nil
}

// park appends lines to the parked file.
func (q *Queue) park(e *ends, parked []migrator.Parked) error {
	if len(parked) == 0 {
		return nil
	}
	if q.parked == nil {
		f, err := os.OpenFile(filepath.Join(q.dir, ParkedFile), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		q.parked = f
	}
	q.buf = q.buf[:0]
	for i := range parked {
		line, err := json.Marshal(struct {
			Outcome string `json:"outcome"`
			*migrator.Parked
		}{parked[i].Outcome.String(), &parked[i]})
		if err != nil {
			return err
		}
		q.buf = append(append(q.buf, line...), '\n')
	}
	if _, err := q.parked.WriteAt(q.buf, e[2]); err != nil {
		return err
	}
	e[2] += int64(len(q.buf))
	return nil
}

// ParkedFile is the name of the file, in the queue's directory, with a line of JSON for each item that was given up
// or left out.
const ParkedFile = "parked.ndjson"

func appendTotals(b []byte, t *migrator.Totals) []byte {
	return appendInts(b, t.Folders, t.Files, t.Size, t.Listed, t.Copied, t.Skipped, t.Filtered, t.Unavailable, t.Failed,
		t.Bytes)
}

func (c *coder) totals(t *migrator.Totals) {
	for _, v := range []*int64{&t.Folders, &t.Files, &t.Size, &t.Listed, &t.Copied, &t.Skipped, &t.Filtered,
		&t.Unavailable, &t.Failed, &t.Bytes} {
		*v = c.int()
	}
}

func (q *Queue) maybeSnapshot() error {
	if q.size-q.base < journalGrow && q.ends[0]+q.ends[1]-q.grown[0]-q.grown[1] < lanesGrow {
		return nil
	}
	return q.snapshot()
}

// snapshot begins a new journal with the present state and removes what it makes superfluous.
func (q *Queue) snapshot() error {
	for _, l := range []*lane{&q.lanes[0].lane, &q.lanes[1].lane} {
		if err := l.sync(); err != nil {
			return q.fail(err)
		}
	}
	if q.parked != nil {
		if err := syncAndDrop(q.parked); err != nil {
			return q.fail(err)
		}
	}
	b := appendInts([]byte{entrySnapshot}, q.ends[:]...)
	b = appendTotals(b, &q.totals)
	for i := range q.lanes {
		b = q.lanes[i].appendState(b)
	}
	if err := q.newJournal(b); err != nil {
		return q.fail(err)
	}
	for i := range q.lanes {
		if err := q.lanes[i].trim(q.lanes[i].cursor); err != nil {
			return q.fail(err)
		}
	}
	return nil
}

// appendState encodes the cursor and the items in memory before it.
func (l *laneState) appendState(b []byte) []byte {
	b = appendInts(b, l.cursor, l.reserved, int64(len(l.leased)+len(l.returned)))
	one := func(h *held) {
		b = appendInts(b, h.offset)
		b = appendBytes(b, h.payload)
		b = appendBytes(b, h.state)
	}
	for _, h := range l.leased {
		one(h)
	}
	for i := range l.returned {
		one(&l.returned[i])
	}
	return b
}

// newJournal writes a journal of one entry and switches over to it.
func (q *Queue) newJournal(entry []byte) error {
	gen := q.gen + 1
	tmp := filepath.Join(q.dir, "journal.tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	b := appendRecord([]byte(magic), entry)
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(tmp, q.journalPath(gen))
	}
	if err == nil {
		err = syncDir(q.dir)
	}
	if err != nil {
		_ = os.Remove(tmp) // the disk may be full
		return errors.Join(err, f.Close())
	}
	if q.journal != nil {
		if err := errors.Join(q.journal.Close(), os.Remove(q.journalPath(q.gen))); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	q.journal, q.gen, q.size, q.base, q.grown = f, gen, int64(len(b)), int64(len(b)), q.ends
	return nil
}

// journals returns the generations of the journals in dir, in order.
func journals(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var gens []uint64
	for _, e := range entries {
		if hex, ok := strings.CutPrefix(e.Name(), "journal-"); ok {
			if v, err := strconv.ParseUint(hex, 16, 64); err == nil {
				gens = append(gens, v)
			}
		}
	}
	return gens, nil
}

// recover reads the newest journal and brings the queue to the state that it tells.
func (q *Queue) recover() (resumed bool, err error) {
	gens, err := journals(q.dir)
	if err != nil {
		return false, err
	}
	if len(gens) > 0 {
		q.gen = gens[len(gens)-1]
		if err := q.replay(); err != nil {
			return false, err
		}
		if q.journal, err = os.OpenFile(q.journalPath(q.gen), os.O_RDWR, 0o600); err != nil {
			return false, err
		}
		for _, g := range gens[:len(gens)-1] {
			if err := os.Remove(q.journalPath(g)); err != nil {
				return false, err
			}
		}
	}
	if err := q.snapshot(); err != nil {
		return false, err
	}
	return q.totals.Folders > 0, nil
}

// replay applies the journal: the snapshot and the entries after it.
func (q *Queue) replay() error {
	st, err := readJournal(q.journalPath(q.gen))
	if err != nil {
		return err
	}
	for i := range q.lanes {
		q.lanes[i].reserved = st.lanes[i].reserved
	}
	var valid ends
	for i := range q.lanes {
		if valid[i], err = q.lanes[i].valid(st.ends[i]); err != nil {
			return err
		}
	}
	if valid[2], err = validParked(filepath.Join(q.dir, ParkedFile), st.ends[2]); err != nil {
		return err
	}
	settled := [2]map[int64]bool{{}, {}}
	if err := st.apply(valid, settled); err != nil {
		return err
	}
	q.totals = st.totals
	q.setEnds(st.ends)
	if err := q.cutTails(); err != nil {
		return err
	}
	for i := range q.lanes {
		if err := q.lanes[i].restore(&st.lanes[i], st.ends[i], settled[i]); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return nil
}

// validParked returns how far the parked file has whole lines, from the end that the snapshot committed. A power cut
// can lose lines behind it, or leave zeros in their place; the snapshot's own were synced before it.
func validParked(path string, from int64) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) && from == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Size() < from {
		return 0, fmt.Errorf("%w: %s has %d bytes, %d were committed", ErrDamaged, path, info.Size(), from)
	}
	tail, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return 0, err
	}
	if zero := bytes.IndexByte(tail, 0); zero >= 0 {
		tail = tail[:zero]
	}
	return from + int64(bytes.LastIndexByte(tail, '\n')+1), nil
}

// cutTails removes the bytes written behind the committed ends.
func (q *Queue) cutTails() error {
	for i := range q.lanes {
		l := &q.lanes[i]
		at, err := l.segments()
		if err != nil {
			return err
		}
		for _, a := range at {
			info, err := os.Stat(l.path(a))
			if err != nil {
				return err
			}
			switch {
			case a >= l.end && a > 0:
				err = os.Remove(l.path(a))
			case a+info.Size() > l.end:
				err = os.Truncate(l.path(a), l.end-a)
			}
			if err != nil {
				return err
			}
		}
	}
	path := filepath.Join(q.dir, ParkedFile)
	if info, err := os.Stat(path); err == nil && info.Size() > q.ends[2] {
		return os.Truncate(path, q.ends[2])
	}
	return nil
}

// restore brings back the items delivered and not settled: from the snapshot, and from the part of the lane that was
// reserved after it.
func (l *laneState) restore(st *laneSnapshot, end int64, settled map[int64]bool) error {
	for _, h := range st.held {
		if !settled[h.offset] {
			h.again = true
			l.returned = append(l.returned, h)
		}
	}
	l.cursor = st.cursor
	l.reserved = min(st.reserved, end)
	for l.cursor < l.reserved {
		next, err := l.read(l.cursor, l.reserved, func(offset int64, payload []byte) bool {
			if !settled[offset] {
				h := held{offset: offset, again: true, state: st.states[offset]}
				h.payload = append(h.payload, payload...)
				l.returned = append(l.returned, h)
			}
			return true
		})
		if err != nil {
			return err
		}
		l.cursor = next
	}
	return nil
}
