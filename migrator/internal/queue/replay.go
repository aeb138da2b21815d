package queue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/migrator"
)

// Peek returns the totals of a queue without opening it, and whether a process has it open.
func Peek(dir string) (t migrator.Totals, inUse bool, err error) {
	lock, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return t, false, err
	}
	defer lock.Close()
	inUse = errors.Is(unix.Flock(int(lock.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
	gens, err := journals(dir)
	if err != nil {
		return t, inUse, err
	}
	if len(gens) == 0 {
		return t, inUse, os.ErrNotExist
	}
	st, err := readJournal(filepath.Join(dir, fmt.Sprintf("journal-%016x", gens[len(gens)-1])))
	if err != nil {
		return t, inUse, err
	}
	const all = 1<<63 - 1
	err = st.apply(ends{all, all, all}, [2]map[int64]bool{{}, {}})
	return st.totals, inUse, err
}

// state is what a journal tells.
type state struct {
	ends    ends
	totals  migrator.Totals
	lanes   [2]laneSnapshot
	entries []byte // after the snapshot, as records
}

type laneSnapshot struct {
	cursor, reserved int64
	held             []held
	states           map[int64][]byte // checkpoints of items delivered after the snapshot
}

// readJournal reads a journal's snapshot. It is at most a few megabytes.
func readJournal(path string) (*state, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(string(b[:min(len(b), len(magic))]), magic)
	if !ok || rest != "" {
		return nil, fmt.Errorf("%w: %s isn't a journal of this version", ErrDamaged, path)
	}
	payload, size, err := nextRecord(b[len(magic):])
	if err != nil || payload[0] != entrySnapshot {
		return nil, fmt.Errorf("%w: %s: bad snapshot", ErrDamaged, path)
	}
	st := &state{entries: b[len(magic)+size:]}
	c := coder{b: payload[1:]}
	for i := range st.ends {
		st.ends[i] = c.int()
	}
	c.totals(&st.totals)
	for i := range st.lanes {
		l := &st.lanes[i]
		l.cursor, l.reserved = c.int(), c.int()
		l.states = map[int64][]byte{}
		for n := c.int(); n > 0 && !c.bad; n-- {
			l.held = append(l.held, held{offset: c.int(), payload: bytes.Clone(c.bytes()), state: bytes.Clone(c.bytes())})
		}
	}
	if c.bad {
		return nil, fmt.Errorf("%w: %s: bad snapshot", ErrDamaged, path)
	}
	return st, nil
}

// apply plays the entries after the snapshot as far as they are whole and what they commit is there. settled receives
// the offsets of settled items.
func (st *state) apply(valid ends, settled [2]map[int64]bool) error {
	for b := st.entries; len(b) > 0; {
		payload, size, err := nextRecord(b)
		if err != nil || len(payload) < 2 {
			return nil // the entry being written when the process died
		}
		b = b[size:]
		c := coder{b: payload[2:]}
		k := int(payload[1]) - 1
		if payload[0] != entryPush && (k < 0 || k > 1) {
			return fmt.Errorf("%w: journal entry of kind %d", ErrDamaged, k+1)
		}
		switch payload[0] {
		case entryPush, entrySettle:
			offset := c.int()
			e := ends{c.int(), c.int(), c.int()}
			if e[0] > valid[0] || e[1] > valid[1] || e[2] > valid[2] {
				return nil // a power cut lost what it commits
			}
			st.ends = e
			c.totals(&st.totals)
			if payload[0] == entrySettle {
				settled[k][offset] = true
			}
		case entryTake:
			st.lanes[k].reserved = max(st.lanes[k].reserved, c.int())
		case entryState:
			offset := c.int()
			st.setState(k, offset, c.bytes())
		default:
			c.bad = true
		}
		if c.bad {
			return fmt.Errorf("%w: bad journal entry", ErrDamaged)
		}
	}
	return nil
}

func (st *state) setState(k int, offset int64, s []byte) {
	l := &st.lanes[k]
	for i := range l.held {
		if l.held[i].offset == offset {
			l.held[i].state = bytes.Clone(s)
			return
		}
	}
	l.states[offset] = bytes.Clone(s)
}
