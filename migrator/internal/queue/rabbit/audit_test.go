package rabbit

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
	file, folder := itemID{1, 1, 1}, itemID{Page: 2}
	open := newLedger()
	open.openFiles = 1
	open.pages[2] = &page{}
	done := newLedger()
	for name, c := range map[string]struct {
		l     *ledger
		ready [2]int
		say   *event // now and then
		lost  bool
	}{
		"done":                   {l: done},
		"both gone":              {l: open, lost: true},
		"files gone":             {l: open, ready: [2]int{1, 0}, lost: true},
		"folders gone":           {l: open, ready: [2]int{0, 1}, lost: true},
		"ready":                  {l: open, ready: [2]int{1, 1}},
		"held":                   {l: open, say: &event{Holds: &holds{Proc: "p", Files: true, Folders: true}}},
		"folders held":           {l: open, say: &event{Holds: &holds{Proc: "p", Folders: true}}, lost: true},
		"settled":                {l: open, say: &event{Settled: []settled{{ID: file}}}},
		"a folder waits":         {l: open, say: &event{Took: &took{ID: folder}}, lost: true},
		"a file is worked on":    {l: open, ready: [2]int{1, 0}, say: &event{State: &saved{ID: file}}},
		"a file was given back":  {l: open, ready: [2]int{1, 0}, say: &event{Back: &back{ID: file}}},
		"somebody asks how long": {l: open, say: &event{}, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAudit(limits{silence: 2 * every, lost: lost}, func(k migrator.Kind) (int, error) {
					return c.ready[k-1],
						nil
				})
				for range 2 * (lost / every) {
					time.Sleep(every)
					if c.say != nil {
						a.saw(c.say)
					}
					require.NoError(t, a.look(c.l))
				}
				assert.Equal(t, c.lost, a.lost())
				if c.lost {
					a.saw(&event{Begin: &begin{}})
					assert.False(t, a.lost(), "begun anew")
				}
			})
		})
	}
}

// TestAuditWaits: what a process had that went silent is lost no sooner than the broker hands it out.
func TestAuditWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		l.openFiles = 1
		a := newAudit(limits{silence: time.Second, lost: time.Minute}, func(migrator.Kind) (int, error) { return 0, nil })
		a.saw(&event{Holds: &holds{Proc: "p", Files: true}})
		began := time.Now()
		for !a.lost() {
			time.Sleep(time.Second)
			require.NoError(t, a.look(l))
		}
		assert.GreaterOrEqual(t, time.Since(began), 2*time.Minute)
		assert.Less(t, time.Since(began), 3*time.Minute)
	})
}
