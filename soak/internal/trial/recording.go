package trial

import (
	"context"
	"fmt"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/clock"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
)

// Recording says how to record a process that runs already, here or in a pod: it is read and never steered.
type Recording struct {
	Dir     string
	Name    string // of the subject
	Module  string
	Pprof   string
	Metrics string
	Every   time.Duration
	For     time.Duration // 0: until ctx ends
	// ForceGC has two collections forced before each profile: floors are sharper and the process pays for it.
	ForceGC bool
	// OnSnapshot is told of each snapshot; may be nil.
	OnSnapshot func(record.Snapshot)
}

// Record reads the process until the time is over or ctx ends, which is no error. A process that can't be read at all
// is one; readings that fail later are counted in the record's warnings.
func Record(ctx context.Context, o Recording) (*record.Trial, error) {
	c := clock.Start()
	begun := c.Now()
	rec, err := newRecorder(o.Dir, record.Trial{
		Schema: record.TrialSchema, Kind: record.Passive, Cell: record.Cell{}, Settings: map[string]string{}, Index: 1, Started: begun,
		Subject: record.Subject{Name: o.Name, Module: o.Module}, Isolation: record.Isolation{Kind: "none", Why: "recorded from outside"},
	}, c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSetup, err)
	}
	s := &sampler.Sampler{Clock: c, Pprof: o.Pprof, Metrics: o.Metrics}
	defer s.Close()
	if err := recordOne(ctx, rec, s, o); err != nil {
		rec.finish(err)
		return nil, err
	}
	tick := time.NewTicker(o.Every)
	defer tick.Stop()
	var over <-chan time.Time
	if o.For > 0 {
		t := time.NewTimer(o.For)
		defer t.Stop()
		over = t.C
	}
	failed := 0
loop:
	for {
		select {
		case <-ctx.Done():
			break loop
		case <-over:
			break loop
		case <-tick.C:
			if err := recordOne(ctx, rec, s, o); err != nil && ctx.Err() == nil {
				failed++
			}
			if rec.failure() != nil {
				break loop
			}
		}
	}
	if failed > 0 {
		rec.warn("%d readings failed", failed)
	}
	rec.phase(record.Phase{Name: protocol.Free, Kind: protocol.Free, Start: begun, End: c.Now()})
	return rec.finish(nil)
}

// recordOne takes one snapshot.
func recordOne(ctx context.Context, rec *recorder, s *sampler.Sampler, o Recording) error {
	v := record.Snapshot{Phase: protocol.Free, State: record.StateFree}
	kinds := []string{"heap"}
	if o.ForceGC {
		kinds = []string{"heap?gc=1", "heap?gc=1"}
		v.ForcedGC = 2
	}
	var heap []byte
	for _, k := range kinds {
		var err error
		if heap, err = s.Profile(ctx, k); err != nil {
			return err
		}
	}
	if o.ForceGC {
		v.Sample, v.Exact = s.ReadCollected(ctx)
	} else {
		v.Sample = s.Read(ctx, true)
	}
	routines, err := s.Profile(ctx, "goroutine")
	if err != nil {
		routines = nil // a heap profile alone is worth keeping
	}
	rec.sample(v.Sample)
	rec.snapshot(v, heap, routines)
	if o.OnSnapshot != nil {
		o.OnSnapshot(v)
	}
	return nil
}
