package soak

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Merge joins the recorded shards of one run into the directory out, which must be empty or absent. Shards of different
// configurations, and shards that have a cell in common, are refused; shards that are missing become a warning of the
// merged run. Verdicts and reports are made again by the reader of the result.
func Merge(out string, dirs []string) (*record.Run, error) {
	if len(dirs) == 0 {
		return nil, fmt.Errorf("%w: nothing to merge", ErrConfig)
	}
	var runs []*record.Run
	for _, d := range dirs {
		r, err := record.ReadRun(d)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		runs = append(runs, r)
	}
	if err := compatible(dirs, runs); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if entries, err := os.ReadDir(out); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%w: %s is not empty", ErrConfig, out)
	}
	for i, d := range dirs {
		for _, c := range runs[i].Status {
			from := filepath.Join(d, filepath.FromSlash(c.Dir))
			if _, err := os.Stat(from); errors.Is(err, os.ErrNotExist) {
				continue // planned, never begun
			}
			if err := os.CopyFS(filepath.Join(out, filepath.FromSlash(c.Dir)), os.DirFS(from)); err != nil {
				return nil, fmt.Errorf("merge %s: %w", d, err)
			}
		}
	}
	m := join(runs)
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	return m, record.Write(filepath.Join(out, record.RunFile), m)
}

// compatible says why the runs are not shards of one run.
func compatible(dirs []string, runs []*record.Run) error {
	owner := map[string]string{}
	for i, r := range runs {
		if diff := differences("", withoutShard(runs[0].Config), withoutShard(r.Config)); len(diff) > 0 {
			return fmt.Errorf("%s and %s are of different configurations: %s", dirs[0], dirs[i], strings.Join(diff, "; "))
		}
		for _, c := range r.Status {
			if other, taken := owner[c.Dir]; taken {
				return fmt.Errorf("%s and %s both have cell %s", other, dirs[i], c.Cell)
			}
			owner[c.Dir] = dirs[i]
		}
	}
	return nil
}

func withoutShard(config map[string]any) map[string]any {
	c := maps.Clone(config)
	delete(c, "shard")
	return c
}

// join makes the run.json of all shards: cells in the order of the unsharded plan.
func join(runs []*record.Run) *record.Run {
	m := *runs[0]
	m.Config = maps.Clone(runs[0].Config)
	m.Config["shard"] = Shard{}.String()
	m.Status, m.Warnings = nil, nil
	type placed struct {
		at   int
		cell record.CellStatus
	}
	var cells []placed
	seen, want := map[string]bool{}, 1
	for _, r := range runs {
		text, _ := r.Config["shard"].(string)
		shard, err := ParseShard(text)
		if err != nil || shard.N == 0 {
			shard = Shard{1, 1}
		}
		want = max(want, shard.N)
		seen[shard.String()] = true
		for k, c := range r.Status {
			cells = append(cells, placed{k*shard.N + shard.I - 1, c})
		}
		if r.Started.Before(m.Started) {
			m.Started = r.Started
		}
		if r.Ended.After(m.Ended) {
			m.Ended = r.Ended
		}
		m.Interrupted = m.Interrupted || r.Interrupted
		for _, w := range r.Warnings {
			if !slices.Contains(m.Warnings, w) {
				m.Warnings = append(m.Warnings, w)
			}
		}
		if r.Host != m.Host {
			m.Warnings = append(m.Warnings, fmt.Sprintf("shard %s ran on another machine: %s, %d CPUs, kernel %s", shard,
				r.Host.CPUModel, r.Host.CPUs, r.Host.Kernel))
		}
	}
	for i := 1; i <= want; i++ {
		if s := (Shard{i, want}).String(); want > 1 && !seen[s] {
			m.Warnings = append(m.Warnings, "shard "+s+" is missing")
			m.Interrupted = true
		}
	}
	slices.SortStableFunc(cells, func(a, b placed) int { return a.at - b.at })
	for _, c := range cells {
		m.Status = append(m.Status, c.cell)
	}
	return &m
}
