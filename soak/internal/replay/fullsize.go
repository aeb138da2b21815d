package replay

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"memsoak/profiles"
	"memsoak/profiles/record"
	"memsoak/soak/internal/units"
	"memsoak/soak/replay/history"
)

// FullSize compares what the memory model says of the full size, from a run that was scaled down, with a run of the
// full size.
type FullSize struct {
	Row       string   `json:"row"`
	Files     int64    `json:"files"`
	ScaledDir string   `json:"scaled_dir"`
	FullDir   string   `json:"full_dir"`
	Predicted int64    `json:"predicted"` // peak, bytes
	Interval  [2]int64 `json:"interval"`
	Measured  int64    `json:"measured"`
	Error     float64  `json:"error"` // of the prediction, relative to what was measured
	Outcome   string   `json:"outcome"`
}

// fullFiles is how many files the version copies at full size: as many as fit into its limit, since of a peak that the
// limit cuts off only the limit can be predicted.
const fullFiles = 250_000

// FullSize runs the last version scaled down and at full size.
func (b *Bench) FullSize(ctx context.Context) (*FullSize, error) {
	p, err := history.Find(last)
	if err != nil {
		return nil, err
	}
	full := Corpus{Name: "many-that-fit", Files: fullFiles, Folders: 1000, Many: true, Size: history.KiB, Transport: "http"}
	f := &FullSize{Row: p.Name, Files: full.Files}
	small := full.At(b.Scale)
	scaled, err := b.Cell(ctx, versionRow(p, b.Scale), small)
	if err != nil {
		return nil, err
	}
	f.ScaledDir = scaled.Dir
	plan := profiles.Plan{Limit: int64(p.Limit), LargestFile: int64(full.Size), Files: full.Files}
	capacity, err := profiles.Capacity(scaled.Dir, plan, options(full))
	if err != nil {
		return nil, fmt.Errorf("full size: %w", err)
	}
	if f.Predicted, f.Interval, err = at(capacity, p.Workers); err != nil {
		return nil, err
	}
	one := *b
	one.Scale, one.Out, one.Repeats = 1, filepath.Join(b.Out, "full-size"), 1
	measured, err := one.Cell(ctx, versionRow(p, 1), full)
	if err != nil {
		return nil, err
	}
	f.FullDir, f.Measured, f.Outcome = measured.Dir, measured.Peak, measured.Outcome
	f.Error = float64(f.Predicted)/math.Max(1, float64(f.Measured)) - 1
	return f, nil
}

// at is the prediction for a number of workers.
func at(c *record.Capacity, workers int) (int64, [2]int64, error) {
	for _, s := range c.At {
		if s.Workers == workers {
			return s.Peak, s.PI95, nil
		}
	}
	return 0, [2]int64{}, fmt.Errorf("the memory model says nothing of %d workers", workers)
}

func (f *FullSize) markdown(b *strings.Builder) {
	b.WriteString("Full size, predicted from the scaled run and then run:\n\n| version | files | predicted | 95 % of peaks | measured | error | outcome | open it |\n|---|---|---|---|---|---|---|---|\n")
	fmt.Fprintf(b, "| %s | %d | %s | %s to %s | %s | %+.1f %% | %s | `make view RUN=%s` |\n\n", f.Row, f.Files, units.FormatBytes(f.Predicted),
		units.FormatBytes(f.Interval[0]), units.FormatBytes(f.Interval[1]), units.FormatBytes(f.Measured), 100*f.Error, f.Outcome, f.FullDir)
}
