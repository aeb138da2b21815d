package accuracy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// CapacityCase is a specimen whose capacity is predicted, and then found by real kills.
type CapacityCase struct {
	Specimen string
	FileSize int64
	Limit    int64
}

// CapacityCases hold memory in as many ways as it is held: files whole, in buffers of their size, in ones that grow by
// copying and in small pieces; parts per worker; and outside the Go heap, mapped and in a tmpfs.
var CapacityCases = []CapacityCase{
	{"file-readall", 16 << 20, 256 << 20},
	{"file-bytesbuffer", 16 << 20, 256 << 20},
	{"file-sdk", 16 << 20, 256 << 20},
	{"file-string", 12 << 20, 256 << 20},
	{"file-chunks", 16 << 20, 256 << 20},
	{"worker-manager", 16 << 20, 256 << 20},
	{"worker-scratch", 16 << 20, 64 << 20},
	{"offheap-file", 16 << 20, 256 << 20},
	{"tmpfs-spool", 16 << 20, 256 << 20},
}

// SelectCases keeps the cases whose specimen matches one of the patterns of path.Match; no pattern keeps all.
func SelectCases(all []CapacityCase, patterns []string) ([]CapacityCase, error) {
	var out []CapacityCase
	for _, c := range all {
		matches := len(patterns) == 0
		for _, p := range patterns {
			ok, err := path.Match(p, c.Specimen)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
			matches = matches || ok
		}
		if matches {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no capacity case matches %s", strings.Join(patterns, " "))
	}
	return out, nil
}

// The matrix of a capacity case, and the worker count outside of it whose memory is predicted. It is a power of two, as
// those that a Capacity has predictions for.
var capacityWorkers = []string{"2", "4", "8"}

const unseenWorkers = 16

// fineRate is the sampling rate of heap profiles of the unseen worker count, as that of the matrix: nothing is timed
// there.
const fineRate = 4096

// ample is a limit below which nothing is killed, for the unseen worker count.
const ample = 4 << 30

// capacityTries is how often a worker count has to survive to count as safe. Kills depend on timing: whether many
// workers are at their largest in the same moment. So near the border a count survives once and is killed the next
// time; over two or three counts where buffers have their size from the start, over five or more where they grow by
// copying. A plan is asked for a number that is safe, so it is compared with the largest count that survives each time.
const capacityTries = 3

// mostTried bounds the search for a count that is killed.
const mostTried = 1 << 10

// CapacityScore is a prediction beside what happened. Sizes are bytes.
type CapacityScore struct {
	Specimen  string `json:"specimen"`
	Limit     int64  `json:"limit"`
	FileSize  int64  `json:"file_size"`
	Predicted int    `json:"predicted"`
	// Survived is the most workers that were not killed in any of capacityTries trials.
	Survived int `json:"survived"`
	// Tried are the trials with real kills, by count.
	Tried []CountTried `json:"tried"`
	// PredictedHeld and Held are what the unseen worker count holds with a file in each worker: the live heap and memory
	// outside the Go heap.
	PredictedHeld int64 `json:"predicted_held"`
	Held          int64 `json:"held"`
}

// CountTried is how many of the trials with a worker count survived.
type CountTried struct {
	Workers  int `json:"workers"`
	Survived int `json:"survived"`
	Of       int `json:"of"`
}

// Right is that the capacity is within one worker, or 5 %, of what real kills say.
func (s CapacityScore) Right() bool {
	d := math.Abs(float64(s.Predicted - s.Survived))
	return d <= 1 || d <= 0.05*float64(s.Survived)
}

// HeldError is the relative error of the predicted memory of the unseen worker count.
func (s CapacityScore) HeldError() float64 {
	return float64(s.PredictedHeld-s.Held) / math.Max(1, float64(s.Held))
}

// Capacity predicts a case and measures it. With Recorded and Resume, earlier results in Out are read again; if their
// matrix was kept as well, the prediction is made again. With Recorded the score is nil where nothing was found. It
// needs a memory cgroup.
func (b *Bench) Capacity(ctx context.Context, c CapacityCase) (*CapacityScore, error) {
	dir := filepath.Join(b.Out, CapacityDir, c.Specimen)
	kept := dir + ".json"
	if b.Recorded || b.Resume {
		s, err := readScore(kept)
		if err == nil {
			if _, err = os.Stat(filepath.Join(dir, matrixDir, record.RunFile)); err == nil {
				_, err = s.predict(filepath.Join(dir, matrixDir))
			}
			return s, ignoreAbsent(err)
		}
		if !errors.Is(err, fs.ErrNotExist) || b.Recorded {
			return nil, ignoreAbsent(err)
		}
	}
	s, err := b.capacity(ctx, c, dir)
	if err != nil {
		return nil, fmt.Errorf("capacity of %s: %w", c.Specimen, err)
	}
	if !b.KeepAll {
		if err := os.RemoveAll(dir); err != nil {
			return nil, err
		}
	}
	return s, record.Write(kept, s)
}

func readScore(path string) (*CapacityScore, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(CapacityScore)
	return s, json.Unmarshal(text, s)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// CapacityDir is where capacity cases are recorded, below Bench.Out.
const CapacityDir = "capacity"

// matrixDir is where a case's matrix is below the case's directory.
const matrixDir = "matrix"

// predict fills in the score's predictions from a recorded matrix and returns the GOMEMLIMIT that goes with the answer.
func (s *CapacityScore) predict(matrix string) (memlimit int64, err error) {
	predict := func(limit int64) (*record.Capacity, error) {
		return profiles.Capacity(matrix, costs.Plan{Limit: limit, LargestFile: s.FileSize, Files: 1000},
			profiles.Options{})
	}
	wide, err := predict(ample)
	if err != nil {
		return 0, err
	}
	for _, at := range wide.At {
		if at.Workers == unseenWorkers {
			s.PredictedHeld = at.Live + at.Outside
		}
	}
	c, err := predict(s.Limit)
	if err != nil {
		return 0, err
	}
	s.Predicted = c.MaxWorkers
	return c.GOMEMLIMIT, nil
}

func (b *Bench) capacity(ctx context.Context, c CapacityCase, dir string) (*CapacityScore, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	matrix := filepath.Join(dir, matrixDir)
	run, err := b.matrix(ctx, c, matrix)
	if err != nil {
		return nil, err
	}
	s := &CapacityScore{Specimen: c.Specimen, Limit: c.Limit, FileSize: c.FileSize}
	memlimit, err := s.predict(matrix)
	if err != nil {
		return nil, err
	}
	unseen, err := b.held(ctx, run, filepath.Join(dir, "unseen"), soak.Held{Workers: unseenWorkers, FileSize: c.FileSize,
		Limit: ample, SampleRate: fineRate})
	if err != nil {
		return nil, err
	}
	s.Held = unseen.Live + unseen.Outside
	err = s.search(ctx, func(ctx context.Context, n int) (bool, error) {
		h := soak.Held{Workers: n, FileSize: c.FileSize, Limit: c.Limit, GOMEMLIMIT: memlimit}
		t, err := b.held(ctx, run, filepath.Join(dir, strconv.Itoa(n)), h)
		return t.Outcome == record.OK, err
	})
	return s, err
}

// search finds Survived: a bisection with single trials finds the border, and from there it goes down to the largest
// count that survives each time. It doesn't look at the prediction.
func (s *CapacityScore) search(ctx context.Context, try func(context.Context, int) (bool, error)) error {
	search := &soak.Search{Step: 1, Try: func(ctx context.Context, n int64) (bool, error) { return try(ctx, int(n)) }}
	n, err := search.Largest(ctx, 1, mostTried)
	if err == nil {
		n, err = search.Settle(ctx, n, -1, 1, capacityTries)
	}
	s.Survived = int(n)
	for _, t := range search.Tried {
		s.count(int(t.Value), t.Survived)
	}
	return err
}

// at holds the readings of a count.
func (s *CapacityScore) at(n int) CountTried {
	for _, t := range s.Tried {
		if t.Workers == n {
			return t
		}
	}
	return CountTried{Workers: n}
}

// count notes a trial; the counts stay in order.
func (s *CapacityScore) count(n int, survived bool) {
	t := s.at(n)
	t.Of++
	if survived {
		t.Survived++
	}
	at, found := slices.BinarySearchFunc(s.Tried, n, func(t CountTried, n int) int { return t.Workers - n })
	if found {
		s.Tried[at] = t
	} else {
		s.Tried = slices.Insert(s.Tried, at, t)
	}
}

// border are the counts that were tried around the border: from the last that survived each time to the first that was
// killed each time.
func (s *CapacityScore) border() string {
	var out []string
	for _, t := range s.Tried {
		if t.Workers < s.Survived {
			continue
		}
		out = append(out, fmt.Sprintf("%d: %d of %d", t.Workers, t.Survived, t.Of))
		if t.Survived == 0 {
			break
		}
	}
	return strings.Join(out, ", ")
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

// held runs one trial in which all workers hold a file at the same time.
func (b *Bench) held(ctx context.Context, run *record.Run, dir string, h soak.Held) (record.HeldTrial, error) {
	if err := os.RemoveAll(dir); err != nil {
		return record.HeldTrial{}, err
	}
	plan, err := soak.HeldPlan(run, h)
	if err != nil {
		return record.HeldTrial{}, err
	}
	return soak.RunHeld(ctx, b.runner(plan, dir), h)
}
