package trial

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/holders"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// looks are the states of the subject at which it was looked who holds what. They are for several goroutines.
type looks struct {
	mu    sync.Mutex
	most  int64 // memory in the largest of them
	found *record.Holders
}

// What makes a state worth another look, for which the subject is stopped: so many times the memory of the last one,
// and at least so many bytes.
const (
	lookTimes = 1.15
	lookMin   = 4 << 20
)

// lookWithin bounds the analysis of a look, which the trial waits for.
const lookWithin = 30 * time.Second

// lookAtHeld looks who holds what in a hold, if it has more memory than any state before.
func (t *trial) lookAtHeld(ctx context.Context, ph *protocol.Phase, bytes int64) {
	t.watch.pause()
	defer t.watch.resume()
	t.lookAt(ctx, "held in phase "+ph.Name, bytes)
}

// whoHolds looks once more when the work is over, for what has gathered by then.
func (t *trial) whoHolds(ctx context.Context) {
	if !t.WhoHolds {
		return
	}
	t.watch.stop() // a stopped subject answers no request
	t.look.mu.Lock()
	t.look.most = 0
	t.look.mu.Unlock()
	t.lookAt(ctx, "the end", lookMin)
}

// lookAt writes down who holds what now, or why that is not known, beside earlier findings: of each site the state
// in which it had the most bytes. What goes wrong here is no reason for a trial to fail.
func (t *trial) lookAt(ctx context.Context, when string, bytes int64) {
	if !t.WhoHolds || t.Kind == record.Speed {
		return
	}
	t.look.mu.Lock()
	defer t.look.mu.Unlock()
	if bytes < lookMin || float64(bytes) < lookTimes*float64(t.look.most) {
		return
	}
	t.look.most = bytes
	throttled := t.throttle.Load()
	throttled.pause()
	defer throttled.resume()
	h, err := holders.Find(ctx, holders.Options{PID: t.proc.PID(), Child: true, Module: t.proc.Describe().Module,
		Within: lookWithin})
	if ctx.Err() != nil {
		return // the run was interrupted, or the subject has ended
	}
	if err != nil {
		h = &record.Holders{Schema: record.HoldersSchema, Time: time.Now(), Sites: []record.HeldSite{}, WhyNot: err.Error()}
	}
	h.Source = "the subject, " + when
	t.look.found = largest(t.look.found, h)
	if err := record.Write(filepath.Join(t.Dir, record.HoldersFile), t.look.found); err != nil {
		t.rec.warn("who holds it: %v", err)
	}
}

// largest joins two looks: each site as it was where it had the most bytes.
func largest(before, now *record.Holders) *record.Holders {
	switch {
	case before == nil || before.WhyNot != "":
		return now
	case now.WhyNot != "":
		return before
	}
	out := *now
	out.Source, out.Stopped = before.Source+"; "+now.Source, before.Stopped+now.Stopped
	out.Objects = max(before.Objects, now.Objects)
	out.Sites = slices.Clone(now.Sites)
	for _, b := range before.Sites {
		i := slices.IndexFunc(out.Sites, func(s record.HeldSite) bool {
			return s.Site == b.Site && slices.Equal(s.Stack, b.Stack)
		})
		switch {
		case i < 0:
			out.Sites = append(out.Sites, b)
		case b.Bytes > out.Sites[i].Bytes:
			out.Sites[i] = b
		}
	}
	slices.SortStableFunc(out.Sites, func(a, b record.HeldSite) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return &out
}
