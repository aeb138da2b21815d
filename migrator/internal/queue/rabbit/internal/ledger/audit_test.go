package ledger

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
)

// TestAudit: items are lost once there was no sign of them for long enough: none ready, none held, no event about any.
func TestAudit(t *testing.T) {
	const every, lost = time.Second, time.Minute
	file, folder := ItemID{1, 1, 1}, ItemID{Page: 2}
	open := New()
	open.openFiles = 1
	open.pages[2] = &page{}
	done := New()
	for name, c := range map[string]struct {
		l     *Ledger
		ready [2]int
		say   *Event // now and then
		lost  bool
	}{
		"done":                   {l: done},
		"both gone":              {l: open, lost: true},
		"files gone":             {l: open, ready: [2]int{1, 0}, lost: true},
		"folders gone":           {l: open, ready: [2]int{0, 1}, lost: true},
		"ready":                  {l: open, ready: [2]int{1, 1}},
		"held":                   {l: open, say: &Event{Holds: &Holds{Proc: "p", Files: true, Folders: true}}},
		"folders held":           {l: open, say: &Event{Holds: &Holds{Proc: "p", Folders: true}}, lost: true},
		"settled":                {l: open, say: &Event{Settled: []Settled{{ID: file}}}},
		"a folder waits":         {l: open, say: &Event{Took: &Took{ID: folder}}, lost: true},
		"a file is worked on":    {l: open, ready: [2]int{1, 0}, say: &Event{State: &Saved{ID: file}}},
		"a file was given back":  {l: open, ready: [2]int{1, 0}, say: &Event{Back: &Back{ID: file}}},
		"somebody asks how long": {l: open, say: &Event{}, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := NewAudit(every, lost, func(k migrator.Kind) (int, error) {
					return c.ready[k-1],
						nil
				})
				for range 2 * (lost / every) {
					time.Sleep(every)
					if c.say != nil {
						a.Saw(c.say)
					}
					require.NoError(t, a.Look(c.l))
				}
				assert.Equal(t, c.lost, a.Lost())
				if c.lost {
					a.Saw(&Event{Begin: &Begin{}})
					assert.False(t, a.Lost(), "begun anew")
				}
			})
		})
	}
}

// TestAuditWaits: what a process had that went silent is lost no sooner than the broker hands it out.
func TestAuditWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New()
		l.openFiles = 1
		a := NewAudit(time.Second/2, time.Minute, func(migrator.Kind) (int, error) { return 0, nil })
		a.Saw(&Event{Holds: &Holds{Proc: "p", Files: true}})
		began := time.Now()
		for !a.Lost() {
			time.Sleep(time.Second)
			require.NoError(t, a.Look(l))
		}
		assert.GreaterOrEqual(t, time.Since(began), 2*time.Minute)
		assert.Less(t, time.Since(began), 3*time.Minute)
	})
}
