package study

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/capacity"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/replay/history"
)

// Rclone has the findings about rclone: what a transfer holds and where, what its settings do to that, and how far the
// answer of the memory model is from what a search with real kills finds.
type Rclone struct {
	Settings []RcloneSetting `json:"settings"`
	Sites    []Share         `json:"sites"` // of the run over transfers
	Formula  int64           `json:"formula"`
	Capacity *Capacity       `json:"capacity,omitempty"`
}

// RcloneSetting is a run with one setting changed.
type RcloneSetting struct {
	Change      string  `json:"change"`
	Peak        int64   `json:"peak"`         // bytes
	Anon        int64   `json:"anon"`         // of them anonymous: the binary alone is 65 MiB of files
	PerTransfer int64   `json:"per_transfer"` // by the verdict's slopes
	Rate        float64 `json:"rate"`
	Dir         string  `json:"dir"`
}

// Capacity compares the smallest limit for a number of transfers: predicted by the model, and found by bisection.
type Capacity struct {
	Transfers int          `json:"transfers"`
	Predicted int64        `json:"predicted"` // the peak at that limit is just below it
	Safe      int64        `json:"safe"`      // the upper end of the peak's interval is: what soak plan would call safe
	Found     int64        `json:"found"`     // to limitStep; 0: none was found
	Error     float64      `json:"error"`
	Tried     []soak.Tried `json:"tried"`
	Dir       string       `json:"dir"` // of the run that the model is from
}

// The study's numbers: transfers of the changed runs and of the capacity, and rclone's chunks by default.
const (
	rcloneTransfers   = 4
	rcloneMost        = 8
	rcloneChunk       = 5 << 20
	rcloneConcurrency = 4
	limitStep         = 8 << 20
	limitMost         = 2 << 30
)

// rcloneCorpus has files that go in parts once upload_cutoff is below their size.
var rcloneCorpus = Corpus{Name: "rclone", Files: 16, Folders: 2, Size: 48 * history.MiB, Transport: "http"}

// rcloneWorkers are the numbers of transfers that the model is fitted over.
var rcloneWorkers = []string{"2", "4", strconv.Itoa(rcloneMost)}

// rcloneRow is rclone with chunked uploads and a change.
func rcloneRow(name string, change map[string]string) Row {
	set := map[string]string{"workers": strconv.Itoa(rcloneTransfers), "upload_cutoff": "5Mi"}
	maps.Copy(set, change)
	return Row{Name: "rclone " + name, Group: WhatIf, Subject: "rclone", Limit: limitMost, Set: set,
		Workers: rcloneTransfers, Needs: "rclone"}
}

// rcloneChanges are the runs beside that with rclone's defaults, the first.
var rcloneChanges = []map[string]string{{}, {"gomemlimit": "128MiB"}, {"buffer_size": "0"}, {"buffer_size": "64Mi"},
	{"chunk_size": "16Mi"},
	{"chunk_concurrency": "1"}, {"use_mmap": "true"}}

// What the pieces take, and how many trials a search has at most.
const (
	rclonePiece = 16 * time.Second
	rcloneTry   = 12 * time.Second
	rcloneTries = 12
)

// rcloneExpected is about how long each piece takes.
func rcloneExpected() []time.Duration {
	out := make([]time.Duration, 0, len(rcloneChanges)+1+rcloneTries)
	for range rcloneChanges {
		out = append(out, rclonePiece)
	}
	out = append(out, time.Duration(len(rcloneWorkers))*rclonePiece)
	for range rcloneTries {
		out = append(out, rcloneTry)
	}
	return out
}

// Rclone studies rclone at full size: its memory doesn't scale.
func (b *Bench) Rclone(ctx context.Context) (*Rclone, error) {
	full := *b
	full.Scale, full.Out, full.Repeats = 1, filepath.Join(b.Out, "rclone"), 1
	r := &Rclone{Formula: rcloneTransfers * rcloneConcurrency * rcloneChunk}
	for _, change := range rcloneChanges {
		s, cell, err := full.rcloneSetting(ctx, change)
		if err != nil {
			return r, err
		}
		r.Settings = append(r.Settings, s)
		if len(change) == 0 {
			r.Sites = cell.Shares
		}
	}
	var err error
	r.Capacity, err = full.rcloneCapacity(ctx)
	return r, err
}

func (b *Bench) rcloneSetting(ctx context.Context, change map[string]string) (s RcloneSetting, cell *Cell, err error) {
	name := "defaults"
	for _, k := range slices.Sorted(maps.Keys(change)) {
		name = k + "=" + change[k]
	}
	err = b.schedule.piece("rclone "+name, rclonePiece, func() (string, bool, error) {
		var kept bool
		var err error
		if cell, kept, err = b.Cell(ctx, rcloneRow(name, change), rcloneCorpus); err != nil {
			return "", false, fmt.Errorf("rclone %s: %w", name, err)
		}
		s = RcloneSetting{Change: name, Peak: cell.Peak, Rate: cell.Rate, Dir: cell.Dir,
			PerTransfer: cell.heldAtMost() / rcloneTransfers, Anon: cell.Anon}
		return cell.OutcomeText() + ", peak " + units.FormatBytes(cell.Peak), kept, nil
	})
	return s, cell, err
}

// heldAtMost is what the findings held, each in the state with most of it.
func (c *Cell) heldAtMost() int64 {
	var sum int64
	for _, s := range c.Shares {
		sum += s.AtMost
	}
	return sum
}

// rcloneCapacity fits the model over three numbers of transfers and compares the smallest limit that it predicts with a
// search. Both are asked the same: all transfers hold a whole file each, below that limit and the GOMEMLIMIT that
// belongs to it.
func (b *Bench) rcloneCapacity(ctx context.Context) (*Capacity, error) {
	c, sizing, err := b.rcloneSizing(ctx)
	if err != nil {
		return nil, err
	}
	s := &soak.Search{Step: limitStep, Try: b.try(sizing)}
	if c.Found, err = s.Smallest(ctx, c.Predicted/2/limitStep*limitStep, (max(c.Safe, c.Predicted*3/2)/limitStep+
		1)*limitStep); err != nil {
		return nil, err
	}
	b.schedule.drop(rcloneTries-len(s.Tried), rcloneTry)
	c.Tried = s.Tried
	if c.Found > 0 {
		c.Error = float64(c.Predicted)/float64(c.Found) - 1
	}
	return c, nil
}

// rcloneSizing records rclone over transfers and asks the model.
func (b *Bench) rcloneSizing(ctx context.Context) (*Capacity, *record.Smallest, error) {
	row := rcloneRow("over transfers", nil)
	w, err := b.work(row, rcloneCorpus)
	if err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(w.Protocol, fmt.Appendf(nil, rcloneStates, rcloneCorpus.Largest()), 0o644); err != nil {
		return nil, nil, err
	}
	delete(w.Set, "workers")
	w.Axes = map[string][]string{"workers": rcloneWorkers}
	c := &Capacity{Transfers: rcloneMost, Dir: filepath.Join(b.Out, slug(row.Name))}
	var sizing *record.Smallest
	err = b.schedule.piece(row.Name, time.Duration(len(rcloneWorkers))*rclonePiece, func() (string, bool, error) {
		kept, err := b.record(ctx, w, c.Dir, options(rcloneCorpus))
		if err != nil {
			return "", false, err
		}
		plan := costs.Plan{Workers: rcloneMost, LargestFile: rcloneCorpus.Largest(), Files: rcloneCorpus.Files}
		answer, err := profiles.Capacity(c.Dir, plan, options(rcloneCorpus))
		if err != nil {
			return "", false, err
		}
		if answer.MaxWorkers == 0 {
			return "", false, errors.New(strings.Join(answer.Answer, "; "))
		}
		sizing, c.Predicted, c.Safe = answer.Smallest, answer.Smallest.Need, answer.Limit
		return fmt.Sprintf("%d transfers need %s", rcloneMost, units.FormatBytes(c.Predicted)), kept, nil
	})
	return c, sizing, err
}

// rcloneStates is the protocol of the runs over transfers: small files, and then the state that the question is about.
// Rclone keeps up to 64 MiB of buffers once it has used them, so states of other kinds that came after would look like
// memory of their own.
const rcloneStates = `name: replay-transfers
trials: [attribution]
memprofilerate: 4096
budget: 10m
wave_timeout: 2m
settle: 500ms
phases:
  - {name: idle, kind: idle, for: 100ms}
  - {name: warm-up, kind: warm-up, files: [{count: 30, size: 4096}]}
  - {name: wave, kind: wave, times: 4, files: [{count: 30, size: 4096}]}
  - {name: held-1, kind: hold, point: upload-reply, transfers: M, size: %[1]d}
  - {name: held-2, kind: hold, point: upload-reply, transfers: M, size: %[1]d}
  - {name: held-3, kind: hold, point: upload-reply, transfers: M, size: %[1]d}
  - {name: free, kind: free, at_most: 2m}
`

// rcloneHeld is the protocol of a try: the state that the model speaks of, twice, and then the corpus.
const rcloneHeld = `name: replay-limit
trials: [passive]
budget: 5m
wave_timeout: 2m
settle: 500ms
phases:
  - {name: warm-up, kind: warm-up, files: [{count: 8, size: 4096}]}
  - {name: held-1, kind: hold, point: upload-reply, transfers: %[1]d, size: %[2]d}
  - {name: held-2, kind: hold, point: upload-reply, transfers: %[1]d, size: %[2]d}
  - {name: free, kind: free, at_most: 2m}
`

// try says whether rclone survives below a limit, with the GOMEMLIMIT that belongs to it. To hang at the limit is not
// to survive.
func (b *Bench) try(sizing *record.Smallest) soak.Try {
	return func(ctx context.Context, limit int64) (survived bool, err error) {
		name := "rclone below " + units.FormatBytes(limit)
		err = b.schedule.piece(name, rcloneTry, func() (string, bool, error) {
			cell, kept, err := b.rcloneBelow(ctx, limit, capacity.GOMEMLIMIT(limit, sizing.Outside))
			if err != nil {
				return "", false, err
			}
			survived = cell.Outcome == Survived
			return cell.OutcomeText(), kept, nil
		})
		return survived, err
	}
}

func (b *Bench) rcloneBelow(ctx context.Context, limit, memlimit int64) (cell *Cell, kept bool, err error) {
	row := rcloneRow("limit", map[string]string{"workers": strconv.Itoa(rcloneMost), "gomemlimit": fmt.Sprintf("%dMiB",
		memlimit>>20)})
	row.Limit = limit
	w, err := b.work(row, rcloneCorpus)
	if err != nil {
		return nil, false, err
	}
	if err := os.WriteFile(w.Protocol, fmt.Appendf(nil, rcloneHeld, rcloneMost, rcloneCorpus.Largest()),
		0o644); err != nil {
		return nil, false, err
	}
	dir := filepath.Join(b.Out, "limit", strconv.FormatInt(limit>>20, 10)+"MiB")
	if kept, err = b.record(ctx, w, dir, options(rcloneCorpus)); err != nil {
		return nil, false, err
	}
	if cell, err = b.read(row, rcloneCorpus, dir); err != nil {
		return nil, false, err
	}
	if cell.Predicted || cell.Outcome == Failed {
		return nil, false, fmt.Errorf("the limit of rclone can't be searched for: %s", cmp.Or(cell.Why,
			"no memory cgroup can be made"))
	}
	if cell.Cut {
		return nil, false, fmt.Errorf("below %s only %d files were copied in 2 minutes: too slow to say whether that is "+
			"enough", units.FormatBytes(limit), cell.Files)
	}
	return cell, kept, nil
}

func (r *Rclone) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "rclone, %d transfers of files of %s, uploads in chunks (upload_cutoff=5Mi), at full size; its "+
		"formula transfers x concurrency x chunk size gives %s, --buffer-size as much as %s more:\n\n",
		rcloneTransfers, rcloneCorpus.Size, units.FormatBytes(r.Formula), units.FormatBytes(rcloneTransfers*16<<20))
	b.WriteString("| setting | peak | anonymous | per transfer, by the verdict | a second, here | open it |\n" +
		"|---|---|---|---|---|---|\n")
	for _, s := range r.Settings {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | `make view RUN=%s` |\n", s.Change, units.FormatBytes(s.Peak),
			units.FormatBytes(s.Anon),
			units.FormatBytes(s.PerTransfer), mb(history.Size(s.Rate)), s.Dir)
	}
	b.WriteString("\n| held the most by | class | slope | at the fullest moment |\n|---|---|---|---|\n")
	for i := range r.Sites {
		c := Cell{Culprit: &r.Sites[i]}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.Sites[i].Line(), r.Sites[i].Class, c.slopeText(),
			units.FormatBytes(r.Sites[i].Bytes))
	}
	b.WriteString("\n")
	if c := r.Capacity; c != nil {
		if c.Found == 0 {
			fmt.Fprintf(b, "Smallest limit for %d transfers: predicted %s, but a search with real kills found none up to "+
				"%s.\n\n",
				c.Transfers, units.FormatBytes(c.Predicted), units.FormatBytes(c.Tried[0].Value))
			return
		}
		fmt.Fprintf(b, "Smallest limit for %d transfers that hold a whole file each, with the GOMEMLIMIT that belongs to "+
			"the limit: predicted %s (safe, by soak plan: %s), "+
			"found by bisection with real kills %s (to %s, %d tries): %+.1f %%\n\n",
			c.Transfers, units.FormatBytes(c.Predicted), units.FormatBytes(c.Safe), units.FormatBytes(c.Found),
			units.FormatBytes(limitStep), len(c.Tried), 100*c.Error)
	}
}
