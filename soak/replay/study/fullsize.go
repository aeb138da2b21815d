package study

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/replay/history"
)

// FullSize compares what runs that were scaled down say of the full size with a run of the full size.
type FullSize struct {
	Row         string       `json:"row"`
	Files       int64        `json:"files"`
	Scaled      []ScaledPeak `json:"scaled"`
	Predictions []Prediction `json:"predictions"`
	Measured    int64        `json:"measured"` // peak, bytes
	Outcome     string       `json:"outcome"`
	Dir         string       `json:"dir"`
}

// ScaledPeak is a run that was scaled down.
type ScaledPeak struct {
	Scale int    `json:"scale"`
	Files int64  `json:"files"`
	Peak  int64  `json:"peak"`
	Dir   string `json:"dir"`
}

// Prediction is what one model says of the peak.
type Prediction struct {
	By       string   `json:"by"`
	Peak     int64    `json:"peak"`
	Interval [2]int64 `json:"interval"` // 95 % of peaks
	Error    float64  `json:"error"`    // relative to the measurement
}

// fullFiles is how many files the version copies at full size: as many as fit into its limit, since of a peak that the
// limit cuts off only the limit can be predicted.
const fullFiles = 250_000

// The scales of the runs that the line is fitted through, in eighths of the replay's.
var fitted = []int{8, 7, 6, 5, 4}

// fullCorpus is the corpus at full size.
var fullCorpus = Corpus{Name: "many-that-fit", Files: fullFiles, Folders: 1000, Many: true, Size: history.KiB,
	Transport: "http", Cut: true}

// fullBacklog is how many files wait in the states before: at full size it matters what the stacks of those that wait
// have, which is next to nothing beside other stacks unless there are thousands.
const fullBacklog = 3600

// fullFree is after how long its copy is ended: the service holds the most once all is listed, and less with each copy.
const fullFree = 15 * time.Second

// fullSizeExpected is about how long each piece takes.
func fullSizeExpected() []time.Duration {
	out := make([]time.Duration, len(fitted)+1)
	for i := range out {
		out[i] = steering + fullFree
	}
	return out
}

// FullSize runs the last version at several scales and at full size.
func (b *Bench) FullSize(ctx context.Context) (*FullSize, error) {
	p, err := history.Find(last)
	if err != nil {
		return nil, err
	}
	full := fullCorpus
	f := &FullSize{Row: p.Name, Files: full.Files}
	one := *b
	one.Repeats, one.Free, one.Dies = 1, fullFree, fullFree
	for _, eighths := range fitted {
		one.Scale = max(1, b.Scale*eighths/8)
		one.Out = filepath.Join(b.Out, fmt.Sprintf("scale-%d", one.Scale))
		small := full.At(one.Scale)
		cell, err := one.fullSizeCell(ctx, p, small)
		if err != nil {
			return nil, err
		}
		if cell.Outcome != Survived {
			return nil, fmt.Errorf("full size: at scale %d the version did not survive: %s", one.Scale, cell.OutcomeText())
		}
		f.Scaled = append(f.Scaled, ScaledPeak{one.Scale, small.Files, cell.Peak, cell.Dir})
	}
	if f.Predictions, err = f.predict(p, full); err != nil {
		return nil, err
	}
	one.Scale, one.Out = 1, filepath.Join(b.Out, "full-size")
	measured, err := one.fullSizeCell(ctx, p, full)
	if err != nil {
		return nil, err
	}
	f.Dir, f.Measured, f.Outcome = measured.Dir, measured.Peak, measured.Outcome
	for i := range f.Predictions {
		f.Predictions[i].Error = float64(f.Predictions[i].Peak)/math.Max(1, float64(f.Measured)) - 1
	}
	return f, nil
}

// fullSizeCell runs the version at the bench's scale as a piece of the schedule.
func (b *Bench) fullSizeCell(ctx context.Context, p history.Preset, c Corpus) (cell *Cell, err error) {
	err = b.schedule.piece(fmt.Sprintf("%s at 1:%d", p.Name, b.Scale), steering+fullFree, func() (string, bool, error) {
		var kept bool
		var err error
		row := versionRow(p, b.Scale)
		row.Backlog = fullBacklog
		if cell, kept, err = b.Cell(ctx, row, c); err != nil {
			return "", false, err
		}
		return cell.OutcomeText(), kept, nil
	})
	return cell, err
}

// predict asks both models: the line through the peaks of the scaled runs, and the model of the live heap that soak
// plan has of the smallest of them, which is careful on purpose.
func (f *FullSize) predict(p history.Preset, full Corpus) ([]Prediction, error) {
	var files, peaks []float64
	for _, s := range f.Scaled {
		files, peaks = append(files, float64(s.Files)), append(peaks, float64(s.Peak))
	}
	line := Prediction{By: fmt.Sprintf("a line through the peaks at scales 1:%d to 1:%d", f.Scaled[0].Scale,
		f.Scaled[len(f.Scaled)-1].Scale)}
	peak, half, err := extrapolate(files, peaks, float64(full.Files))
	if err != nil {
		return nil, err
	}
	line.Peak, line.Interval = int64(peak), [2]int64{int64(peak - half), int64(peak + half)}
	capacity, err := profiles.Capacity(f.Scaled[0].Dir, costs.Plan{Limit: int64(p.Limit), LargestFile: int64(full.Size),
		Files: full.Files}, options(full))
	if err != nil {
		return nil, fmt.Errorf("full size: %w", err)
	}
	plan := Prediction{By: fmt.Sprintf("soak plan, from the run at 1:%d alone", f.Scaled[0].Scale)}
	if plan.Peak, plan.Interval, err = at(capacity, p.Workers); err != nil {
		return nil, err
	}
	return []Prediction{line, plan}, nil
}

// errTooFew is returned for a line through too few points.
var errTooFew = errors.New("a line with an interval needs at least three different points")

// extrapolate fits a line and returns its value at x with half the width of the 95 % interval of single values there.
func extrapolate(xs, ys []float64, x float64) (y, half float64, err error) {
	n := float64(len(xs))
	mean := stat.Mean(xs)
	spread := 0.0
	for _, v := range xs {
		spread += (v - mean) * (v - mean)
	}
	if n < 3 || spread == 0 {
		return 0, 0, errTooFew
	}
	a, b := stat.Mean(ys), 0.0
	for i, v := range xs {
		b += (v - mean) * ys[i] / spread
	}
	a -= b * mean
	rest := 0.0
	for i, v := range xs {
		d := ys[i] - a - b*v
		rest += d * d
	}
	t := stat.TQuantile(0.975, n-2)
	return a + b*x, t * math.Sqrt(rest/(n-2)*(1+1/n+(x-mean)*(x-mean)/spread)), nil
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
	fmt.Fprintf(b, "Full size: %s with %d files, as many as fit, predicted from runs that were scaled down, and run: %s "+
		"at %s (`make view RUN=%s`).\n\n",
		f.Row, f.Files, f.Outcome, units.FormatBytes(f.Measured), f.Dir)
	b.WriteString("| predicted by | peak | 95 % of peaks | error |\n|---|---|---|---|\n")
	for _, p := range f.Predictions {
		fmt.Fprintf(b, "| %s | %s | %s to %s | %+.1f %% |\n", p.By, units.FormatBytes(p.Peak),
			units.FormatBytes(p.Interval[0]), units.FormatBytes(p.Interval[1]), 100*p.Error)
	}
	b.WriteString("\n")
}
