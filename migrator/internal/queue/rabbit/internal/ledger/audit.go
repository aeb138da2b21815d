package ledger

import (
	"time"

	"github.com/memsoak/memsoak/migrator"
)

// Audit finds open items that are nowhere: not ready in the broker, not in flight, and not settled. Processes can't
// cause that; but a queue may be purged, or a broker may lose confirmed messages. Without audit all processes would
// wait for ever. It reports a loss after a time in which a dead process's items would have come back.
type Audit struct {
	tell    time.Duration                    // how often processes say that they have items
	allow   time.Duration                    // without a sign of open items
	ready   func(migrator.Kind) (int, error) // how many items of a kind wait in the broker
	holders [2]map[string]time.Time          // by kind - 1: who said when that he has some
	bare    [2]time.Time                     // since when there was no sign of any
	next    time.Time                        // when to look again
}

// NewAudit expects news of items every tell, and takes them for lost after a time without any.
func NewAudit(tell, lost time.Duration, ready func(migrator.Kind) (int, error)) *Audit {
	return &Audit{tell: tell, allow: lost, ready: ready, holders: [2]map[string]time.Time{{}, {}}}
}

// Saw takes an event as a sign of items.
func (a *Audit) Saw(e *Event) {
	if h := e.Holds; h != nil {
		for i, has := range [2]bool{h.Folders, h.Files} {
			if has {
				a.holders[i][h.Proc] = time.Now()
				a.sign(i)
			}
		}
	}
	if e.Begin != nil || len(e.Settled) > 0 {
		a.sign(0)
		a.sign(1)
	}
	for _, id := range e.items() {
		a.sign(int(id.kind() - 1))
	}
}

func (a *Audit) sign(kind int) { a.bare[kind] = time.Time{} }

// Lost says that there was no sign of open items for too long.
func (a *Audit) Lost() bool {
	for _, since := range a.bare {
		if !since.IsZero() && time.Since(since) > a.allow {
			return true
		}
	}
	return false
}

// items are those that an event is about, but for settled ones.
func (e *Event) items() (ids []ItemID) {
	if e.Took != nil {
		ids = append(ids, e.Took.ID)
	}
	if e.Back != nil {
		ids = append(ids, e.Back.ID)
	}
	if e.State != nil {
		ids = append(ids, e.State.ID)
	}
	return ids
}

func (id ItemID) kind() migrator.Kind {
	if id.N > 0 {
		return migrator.File
	}
	return migrator.Folder
}

// Look looks for signs of open items, now and then.
func (a *Audit) Look(l *Ledger) error {
	now := time.Now()
	if now.Before(a.next) {
		return nil
	}
	a.next = now.Add(a.tell)
	for i, open := range [2]bool{len(l.pages) > 0, l.openFiles > 0} {
		for who, at := range a.holders[i] {
			if now.Sub(at) > a.allow {
				delete(a.holders[i], who)
			}
		}
		if !open || len(a.holders[i]) > 0 {
			a.sign(i)
			continue
		}
		ready, err := a.ready(migrator.Kind(i + 1))
		if err != nil {
			return err
		}
		switch {
		case ready > 0:
			a.sign(i)
		case a.bare[i].IsZero():
			a.bare[i] = now
		}
	}
	return nil
}
