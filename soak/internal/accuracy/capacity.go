package accuracy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"memsoak/profiles"
	"memsoak/profiles/record"
	"memsoak/soak"
)

// CapacityCase is a specimen whose capacity is predicted, and then found by real kills.
type CapacityCase struct {
	Specimen string
	FileSize int64
	Limit    int64
}

// CapacityCases are buffers of whole files, made in three ways, and of parts.
var CapacityCases = []CapacityCase{
	{"file-readall", 16 << 20, 256 << 20},
	{"file-sdk", 16 << 20, 256 << 20},
	{"file-string", 12 << 20, 256 << 20},
	{"worker-manager", 16 << 20, 256 << 20},
}

// The matrix of a capacity case, and the worker count outside of it whose live heap is predicted. It is a power of two,
// as those that a Capacity has predictions for.
var capacityWorkers = []string{"2", "4", "8"}

const unseenWorkers = 16

// ample is a limit below which nothing is killed, for the unseen worker count.
const ample = 4 << 30

// CapacityScore is a prediction beside what happened. Sizes are bytes.
type CapacityScore struct {
	Specimen  string `json:"specimen"`
	Limit     int64  `json:"limit"`
	FileSize  int64  `json:"file_size"`
	Predicted int    `json:"predicted"`
	// Survived is the most workers that were not killed.
	Survived int `json:"survived"`
	// PredictedLive and Live are the live heap of the unseen worker count.
	PredictedLive int64 `json:"predicted_live"`
	Live          int64 `json:"live"`
}

// Right is that the capacity is within one worker, or 5 %, of what real kills say.
func (s CapacityScore) Right() bool {
	d := math.Abs(float64(s.Predicted - s.Survived))
	return d <= 1 || d <= 0.05*float64(s.Survived)
}

// PeakError is the relative error of the predicted live heap.
func (s CapacityScore) PeakError() float64 {
	return float64(s.PredictedLive-s.Live) / math.Max(1, float64(s.Live))
}

// Capacity predicts a case and finds out, or reads what was found before; with Recorded the score is nil where
// nothing was. It needs a memory cgroup.
func (b *Bench) Capacity(ctx context.Context, c CapacityCase) (*CapacityScore, error) {
	dir := filepath.Join(b.Out, "capacity", c.Specimen)
	kept := dir + ".json"
	if b.Recorded || b.Resume {
		text, err := os.ReadFile(kept)
		if err == nil {
			s := new(CapacityScore)
			return s, json.Unmarshal(text, s)
		}
		if !errors.Is(err, fs.ErrNotExist) || b.Recorded {
			return nil, ignoreAbsent(err)
		}
	}
	s, err := b.capacity(ctx, c, dir)
	if err != nil {
		return nil, fmt.Errorf("capacity of %s: %w", c.Specimen, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return s, record.Write(kept, s)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (b *Bench) capacity(ctx context.Context, c CapacityCase, dir string) (*CapacityScore, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	matrix := filepath.Join(dir, "matrix")
	run, err := b.matrix(ctx, c, matrix)
	if err != nil {
		return nil, err
	}
	s := &CapacityScore{Specimen: c.Specimen, Limit: c.Limit, FileSize: c.FileSize}
	predict := func(limit int64) (*record.Capacity, error) {
		return profiles.Capacity(matrix, profiles.Plan{Limit: limit, LargestFile: c.FileSize, Files: 1000}, profiles.Options{})
	}
	wide, err := predict(ample)
	if err != nil {
		return nil, err
	}
	for _, at := range wide.At {
		if at.Workers == unseenWorkers {
			s.PredictedLive = at.Live
		}
	}
	unseen, err := b.held(ctx, run, filepath.Join(dir, "unseen"), soak.Held{Workers: unseenWorkers, FileSize: c.FileSize, Limit: ample, GOMEMLIMIT: wide.GOMEMLIMIT})
	if err != nil {
		return nil, err
	}
	s.Live = unseen.Live
	narrow, err := predict(c.Limit)
	if err != nil {
		return nil, err
	}
	s.Predicted = narrow.MaxWorkers
	search := soak.Search{Step: 1, Try: func(ctx context.Context, n int64) (bool, error) {
		h := soak.Held{Workers: int(n), FileSize: c.FileSize, Limit: c.Limit, GOMEMLIMIT: narrow.GOMEMLIMIT}
		t, err := b.held(ctx, run, filepath.Join(dir, strconv.FormatInt(n, 10)), h)
		return t.Outcome == record.OK, err
	}}
	most, err := search.Largest(ctx, 1, 4*int64(max(narrow.MaxWorkers, 1)))
	s.Survived = int(most)
	return s, err
}

// matrix records the case's matrix.
func (b *Bench) matrix(ctx context.Context, c CapacityCase, dir string) (*record.Run, error) {
	cfg := b.config()
	cfg.Set = soak.Cell{"specimen": c.Specimen}
	cfg.Axes = soak.Axes{{Name: "workers", Values: capacityWorkers}}
	cfg.Design = soak.Full
	plan, err := soak.NewPlan(cfg, soak.Shard{})
	if err != nil {
		return nil, err
	}
	plan.Subject.Command[0] = filepath.Join(b.Root, "bin", "specimens")
	if _, err := b.runner(plan, dir).Run(ctx); err != nil {
		return nil, err
	}
	return record.ReadRun(dir)
}

// held runs one trial in which all workers hold a file at once.
func (b *Bench) held(ctx context.Context, run *record.Run, dir string, h soak.Held) (record.HeldTrial, error) {
	plan, err := soak.HeldPlan(run, h)
	if err != nil {
		return record.HeldTrial{}, err
	}
	return soak.RunHeld(ctx, b.runner(plan, dir), h)
}
