package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/canary"
)

// selfCheckLeak is the leak that the self-check injects, in bytes a file.
const selfCheckLeak = 256

// selfCheck records the canary twice as it is and twice with a leak, with the quick protocol, and lets the gate judge
// them. What can be detected is estimated from the spread of what the gate judged.
func selfCheck(ctx context.Context, r recorder, run *gate.Run, o gate.Options) (*gate.SelfCheck, error) {
	dir, err := os.MkdirTemp("", "memsoak-selfcheck-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cfg := soak.DefaultConfig()
	cfg.Protocol, cfg.Repeats, cfg.Limit, cfg.Budget = "quick", 2, 512<<20, soak.Duration(2*time.Minute)
	cfg.Cells = []soak.Cell{{"leak_bytes": "0"}, {"leak_bytes": strconv.Itoa(selfCheckLeak)}}
	plan, err := soak.NewPlanFor(canary.Spec(program), cfg, soak.Shard{})
	if err != nil {
		return nil, err
	}
	rec, err := r.record(ctx, plan, filepath.Join(dir, "run"), false)
	if err != nil {
		return nil, fmt.Errorf("self-check: %w", err)
	}
	leaky, healthy := rec.Split("leak_bytes", strconv.Itoa(selfCheckLeak))
	out := &gate.SelfCheck{LeakBytes: selfCheckLeak}
	out.Leak, out.LeakAt = outcome(healthy, leaky)
	out.Equal, _ = outcome(nthTrial(healthy, 0), nthTrial(healthy, 1))
	judged := run
	if o.Head != nil {
		judged = o.Head
	}
	out.Power = gate.EstimatePower(judged)
	return out, nil
}

// outcome compares two recordings and says where the first failure points to.
func outcome(base, head *gate.Run) (gate.Outcome, string) {
	b, err := gate.NewBaseline(base)
	if err != nil {
		return gate.Inconclusive, ""
	}
	cmp, err := gate.Compare(b, head)
	if err != nil {
		return gate.Inconclusive, ""
	}
	for _, x := range cmp.Results {
		if s := x.Site(); x.Outcome == gate.Fail && s != nil {
			return cmp.Outcome(), fmt.Sprintf("%s (%s:%d)", s.Function, s.File, s.Line)
		}
	}
	return cmp.Outcome(), ""
}

// nthTrial is a run with one trial of each cell.
func nthTrial(r *gate.Run, n int) *gate.Run {
	out := *r
	out.Cells = nil
	for _, c := range r.Cells {
		c.Trials = c.Trials[min(n, len(c.Trials)):min(n+1, len(c.Trials))]
		out.Cells = append(out.Cells, c)
	}
	return &out
}
