package capture

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// flamebearer is the JSON that Pyroscope's interface exports: the bars of a flame graph, level by level from the root,
// four numbers each: offset from the bar before, total, self, index of the name.
type flamebearer struct {
	Flamebearer struct {
		Names  []string  `json:"names"`
		Levels [][]int64 `json:"levels"`
	} `json:"flamebearer"`
	Metadata struct {
		Format string `json:"format"`
		Units  string `json:"units"`
		Name   string `json:"name"`
	} `json:"metadata"`
	Timeline *struct {
		Start int64 `json:"startTime"`
	} `json:"timeline"`
}

// bar is one bar with its place on the axis.
type bar struct {
	lo, hi int64
	name   string
	parent *bar
}

// parseFlamebearer makes a profile of the bars that have something of their own.
func parseFlamebearer(b []byte) (*profile.Profile, error) {
	var in flamebearer
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%w: JSON of a flame graph: %w", ErrNotProfile, err)
	}
	if in.Metadata.Format == "double" {
		return nil, fmt.Errorf("%w: a comparison of two flame graphs; export each of them as pprof", ErrNotProfile)
	}
	kind, unit := "inuse_space", "bytes"
	switch all := in.Metadata.Name + " " + in.Metadata.Units; {
	case strings.Contains(all, "goroutine"):
		kind, unit = "goroutine", "count"
	case strings.Contains(all, "alloc_space"):
		kind = "alloc_space"
	case in.Metadata.Units != "bytes":
		kind, unit = in.Metadata.Units, "count"
	}
	out := newBuilder(kind, unit)
	if in.Timeline != nil {
		out.p.TimeNanos = in.Timeline.Start * 1e9
	}
	above := []*bar{}
	for _, level := range in.Flamebearer.Levels {
		var here []*bar
		var at int64
		for i := 0; i+3 < len(level); i += 4 {
			if level[i+3] < 0 || level[i+3] >= int64(len(in.Flamebearer.Names)) {
				return nil, fmt.Errorf("%w: JSON of a flame graph: a bar without its name", ErrNotProfile)
			}
			x := &bar{lo: at + level[i], name: in.Flamebearer.Names[level[i+3]]}
			x.hi = x.lo + level[i+1]
			at = x.hi
			x.parent = over(above, x.lo)
			here = append(here, x)
			if self := level[i+2]; self != 0 {
				out.sample(x.stack(), self)
			}
		}
		above = here
	}
	return out.p, nil
}

// over finds the bar above a place on the axis.
func over(level []*bar, at int64) *bar {
	i, ok := slices.BinarySearchFunc(level, at, func(x *bar, at int64) int { return int(min(1, max(-1, x.lo-at))) })
	if !ok {
		i--
	}
	if i < 0 {
		return nil
	}
	return level[i]
}

func (x *bar) stack() []frame {
	var out []frame
	for ; x != nil; x = x.parent {
		if x.name != "total" {
			out = append(out, frame{fn: x.name})
		}
	}
	return out
}
