package replay

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"memsoak/profiles"
	"memsoak/soak"
	"memsoak/soak/internal/units"
	"memsoak/soak/replay/history"
)

// Rclone is what was found of rclone: what a transfer holds and where, what its settings do to that, and how far the
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
	Predicted int64        `json:"predicted"`
	Interval  [2]int64     `json:"interval"`
	Found     int64        `json:"found"` // to limitStep; 0: none was found
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

// rcloneFree is how long it is copied at most: peaks count of whole copies only.
const rcloneFree = 40 * time.Second

// rcloneRow is rclone with chunked uploads and a change.
func rcloneRow(name string, change map[string]string) Row {
	set := map[string]string{"workers": strconv.Itoa(rcloneTransfers), "upload_cutoff": "5Mi"}
	maps.Copy(set, change)
	return Row{Name: "rclone " + name, Group: WhatIf, Subject: "rclone", Limit: limitMost, Set: set, Workers: rcloneTransfers, Needs: "rclone"}
}

// Rclone studies rclone at full size: its memory doesn't scale.
func (b *Bench) Rclone(ctx context.Context) (*Rclone, error) {
	full := *b
	full.Scale, full.Out, full.Repeats, full.Free = 1, filepath.Join(b.Out, "rclone"), 1, rcloneFree
	r := &Rclone{Formula: rcloneTransfers * rcloneConcurrency * rcloneChunk}
	for _, change := range []map[string]string{{}, {"gomemlimit": "128MiB"}, {"buffer_size": "0"}, {"buffer_size": "64Mi"}, {"chunk_size": "16Mi"}, {"chunk_concurrency": "1"}, {"use_mmap": "true"}} {
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

func (b *Bench) rcloneSetting(ctx context.Context, change map[string]string) (RcloneSetting, *Cell, error) {
	name := "defaults"
	for _, k := range slices.Sorted(maps.Keys(change)) {
		name = k + "=" + change[k]
	}
	cell, err := b.Cell(ctx, rcloneRow(name, change), rcloneCorpus)
	if err != nil {
		return RcloneSetting{}, nil, fmt.Errorf("rclone %s: %w", name, err)
	}
	s := RcloneSetting{Change: name, Peak: cell.Peak, Rate: cell.Rate, Dir: cell.Dir, PerTransfer: cell.perWorker(), Anon: cell.Anon}
	return s, cell, nil
}

// rcloneCapacity fits the model over three numbers of transfers and compares its answer with a search.
func (b *Bench) rcloneCapacity(ctx context.Context) (*Capacity, error) {
	row := rcloneRow("over transfers", nil)
	cfg, err := b.config(row, rcloneCorpus)
	if err != nil {
		return nil, err
	}
	delete(cfg.Set, "workers")
	cfg.Axes = soak.Axes{{Name: "workers", Values: []string{"2", "4", strconv.Itoa(rcloneMost)}}}
	c := &Capacity{Transfers: rcloneMost, Dir: filepath.Join(b.Out, slug(row.Name))}
	if err := b.record(ctx, cfg, c.Dir, options(rcloneCorpus)); err != nil {
		return nil, err
	}
	plan := profiles.Plan{Limit: limitMost, LargestFile: int64(rcloneCorpus.Size), Files: rcloneCorpus.Files}
	capacity, err := profiles.Capacity(c.Dir, plan, options(rcloneCorpus))
	if err != nil {
		return nil, err
	}
	if c.Predicted, c.Interval, err = at(capacity, rcloneMost); err != nil {
		return nil, err
	}
	s := &soak.Search{Step: limitStep, Try: b.try(row, rcloneMost)}
	if c.Found, err = s.Smallest(ctx, c.Predicted/4/limitStep*limitStep, (c.Predicted*2/limitStep+1)*limitStep); err != nil {
		return nil, err
	}
	c.Tried = s.Tried
	if c.Found > 0 {
		c.Error = float64(c.Predicted)/float64(c.Found) - 1
	}
	return c, nil
}

// try copies the corpus under a limit, without steering, and says whether rclone survived. To hang at the limit is
// not to survive.
func (b *Bench) try(row Row, transfers int) soak.Try {
	return func(ctx context.Context, limit int64) (bool, error) {
		row := row
		row.Limit, row.Set = limit, maps.Clone(row.Set)
		row.Set["workers"] = strconv.Itoa(transfers)
		cfg, err := b.config(row, rcloneCorpus)
		if err != nil {
			return false, err
		}
		text := fmt.Appendf(nil, "name: replay-limit\ntrials: [speed]\nwave_timeout: 2m\nspeed:\n  - {name: warm-up, kind: warm-up, files: [{count: 8, size: 4096}]}\n  - {name: free, kind: free, at_most: %s}\n", b.free(rcloneCorpus))
		if err := os.WriteFile(cfg.Protocol, text, 0o644); err != nil {
			return false, err
		}
		dir := filepath.Join(b.Out, "limit", strconv.FormatInt(limit>>20, 10)+"MiB")
		if err := b.record(ctx, cfg, dir, options(rcloneCorpus)); err != nil {
			return false, err
		}
		cell, err := b.read(row, rcloneCorpus, dir)
		if err != nil {
			return false, err
		}
		if cell.Predicted || cell.Outcome == Failed {
			return false, fmt.Errorf("the limit of rclone can't be searched for: %s", cmp.Or(cell.Why, "no memory cgroup can be made"))
		}
		if cell.Outcome == Survived && cell.Cut && cell.Files < int64(transfers) {
			return false, fmt.Errorf("below %s only %d files were copied in %s: too few to say whether that is enough", units.FormatBytes(limit), cell.Files, rcloneFree)
		}
		return cell.Outcome == Survived, nil
	}
}

func (r *Rclone) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "rclone, %d transfers of files of %s, uploads in chunks (upload_cutoff=5Mi), at full size; its formula transfers x concurrency x chunk size gives %s, --buffer-size as much as %s more:\n\n",
		rcloneTransfers, rcloneCorpus.Size, units.FormatBytes(r.Formula), units.FormatBytes(rcloneTransfers*16<<20))
	b.WriteString("| setting | peak | anonymous | per transfer, by the verdict | a second, here | open it |\n|---|---|---|---|---|---|\n")
	for _, s := range r.Settings {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | `make view RUN=%s` |\n", s.Change, units.FormatBytes(s.Peak), units.FormatBytes(s.Anon),
			units.FormatBytes(s.PerTransfer), mb(history.Size(s.Rate)), s.Dir)
	}
	b.WriteString("\n| held the most by | class | slope | at the fullest moment |\n|---|---|---|---|\n")
	for i := range r.Sites {
		c := Cell{Culprit: &r.Sites[i]}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", r.Sites[i].Line(), r.Sites[i].Class, c.slopeText(), units.FormatBytes(r.Sites[i].Bytes))
	}
	b.WriteString("\n")
	if c := r.Capacity; c != nil {
		fmt.Fprintf(b, "Smallest limit for %d transfers: predicted %s (95 %% of peaks %s to %s), found by bisection with real kills %s (to %s, %d tries): %+.1f %%\n\n",
			c.Transfers, units.FormatBytes(c.Predicted), units.FormatBytes(c.Interval[0]), units.FormatBytes(c.Interval[1]),
			units.FormatBytes(c.Found), units.FormatBytes(limitStep), len(c.Tried), 100*c.Error)
	}
}
