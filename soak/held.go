package soak

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// Held is the state that a capacity has to hold for: as many transfers as there are workers, all of the largest size,
// and all of their bytes sent at the same time. Sizes are bytes.
type Held struct {
	Workers    int
	FileSize   int64
	Limit      int64
	GOMEMLIMIT int64 // 0 leaves the run's own setting
	// SampleRate is that of heap profiles, in bytes: 0 leaves the subject's own, with which memory in small objects is
	// known to some five percent.
	SampleRate int64
}

// heldTimeout bounds a wave of a held trial: files of many GiB take their time.
const heldTimeout = 30 * time.Minute

// HeldPlan plans one trial of a recorded run's subject that brings it into the state, twice. The errors wrap ErrConfig.
func HeldPlan(run *record.Run, h Held) (*Plan, error) {
	hold := func(name string) protocol.Phase {
		return protocol.Phase{Name: name, Kind: protocol.Hold, Point: fault.UploadReply,
			Transfers: protocol.Count(strconv.Itoa(h.Workers)), Size: units.Bytes(h.FileSize)}
	}
	proto := &protocol.Protocol{
		Name: "held", Trials: []record.TrialKind{record.Passive}, Budget: protocol.Duration(heldTimeout),
		WaveTimeout: protocol.Duration(heldTimeout), Settle: protocol.Duration(500 * time.Millisecond),
		Phases: []protocol.Phase{
			{Name: "warm-up", Kind: protocol.WarmUp, Files: []protocol.Group{{Count: 40, Size: 4 << 10}}},
			hold("held-1"), hold("held-2"),
		},
	}
	return planAgain(run, proto, func(s *subject.Spec, c *Config) error {
		if s.Load != nil || s.Wave.Exit {
			return fmt.Errorf("no files can be held in %s: it is no service that copies them", s.Name)
		}
		set := Cell{}
		maps.Copy(set, c.Set)
		// Without such a setting the subject has as many transfers as there are files to hold, or RunHeld says so.
		if workers := cmp.Or(s.Concurrency, "workers"); slices.Contains(s.SettingNames(), workers) {
			set[workers] = strconv.Itoa(h.Workers)
		}
		if h.GOMEMLIMIT > 0 {
			set["gomemlimit"] = strconv.FormatInt(h.GOMEMLIMIT>>20, 10) + "MiB"
		}
		if h.SampleRate > 0 {
			set["memprofilerate"] = strconv.FormatInt(h.SampleRate, 10)
		}
		c.Set, c.Axes, c.Cells, c.Center, c.Only, c.Repeats = set, nil, nil, nil, "", 1
		c.Trials, c.Thresholds, c.Limit, c.Node, c.Duration = nil, nil, units.Bytes(h.Limit), 0, 0
		return nil
	})
}

// ErrNoCgroup is returned where no memory limit can be set, so that no process can be killed by one.
var ErrNoCgroup = errors.New("this machine lets us set no memory limit")

// RunHeld carries out a plan of HeldPlan. Every outcome but survival and a kill by the limit is an error: it says
// nothing about memory. So is survival where fewer workers than were asked for held a file at the same time.
func RunHeld(ctx context.Context, r *Runner, h Held) (record.HeldTrial, error) {
	res, err := r.Run(ctx)
	if len(res.Trials) == 0 || err != nil && !errors.Is(err, ErrNothingRan) {
		return record.HeldTrial{}, err
	}
	t := res.Trials[0]
	if t.Isolated == "none" {
		return record.HeldTrial{}, ErrNoCgroup
	}
	out := record.HeldTrial{Workers: h.Workers, FileSize: h.FileSize, Outcome: t.Outcome, Live: t.Peak.HeapLive,
		Peak: t.Peak.Bytes()}
	recorded, err := record.ReadTrial(filepath.Join(r.Dir, r.Plan.Trials[0].Dir()))
	if err != nil {
		return out, err
	}
	out.Outside = outsideWhenHeld(recorded)
	if t.Outcome != record.OK && t.Outcome != record.OOMKilled {
		return out, fmt.Errorf("with %d workers the trial ended as %s, which says nothing about memory: %s", h.Workers,
			t.Outcome, t.Reason)
	}
	if n := heldAtOnce(recorded); t.Outcome == record.OK && n < h.Workers {
		return out, fmt.Errorf("only %d of %d workers held a file at the same time, which says nothing of %d", n, h.Workers,
			h.Workers)
	}
	return out, nil
}

// heldAtOnce is the most transfers that a hold of the trial stopped.
func heldAtOnce(t *record.Trial) int {
	most := 0
	for _, p := range t.Phases {
		if p.Hold != nil {
			most = max(most, p.Hold.Held)
		}
	}
	return most
}

// outsideWhenHeld is the most that a recorded trial had outside the Go heap in a held state, 0 without a reading.
func outsideWhenHeld(t *record.Trial) int64 {
	var most int64
	for _, s := range t.Snapshots {
		if s.State.Held() && s.Process != nil && s.Cgroup != nil {
			most = max(most, s.Process.OtherAnon+max(s.Process.Shmem, s.Cgroup.Shmem)+s.Cgroup.Kernel)
		}
	}
	return most
}
