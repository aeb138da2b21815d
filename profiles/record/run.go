package record

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Cell is one combination of the axes: name to value.
type Cell map[string]string

// String is the cell's canonical form, axes in alphabetical order: "gomemlimit=1800MiB pool=40 workers=25". The empty
// cell is "default".
func (c Cell) String() string {
	if len(c) == 0 {
		return "default"
	}
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(c)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s", k, c[k])
	}
	return b.String()
}

// Dir is the name of the cell's directory: String with characters that are not safe in a file name replaced.
func (c Cell) Dir() string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return ','
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("=._-+", r):
			return r
		}
		return '_'
	}, c.String())
}

// Run is run.json.
type Run struct {
	Schema   string    `json:"schema"`
	ID       string    `json:"id"`
	Started  time.Time `json:"started"`
	Ended    time.Time `json:"ended,omitzero"`
	Seed     int64     `json:"seed"`
	Subject  string    `json:"subject"`
	Corpus   string    `json:"corpus"`
	Design   string    `json:"design"`
	Protocol string    `json:"protocol"`
	Repeats  int       `json:"repeats"`
	Limit    int64     `json:"limit"`
	Axes     []Axis    `json:"axes"`
	// Config is the whole configuration, for --resume to compare and a reader to see.
	Config map[string]any `json:"config,omitempty"`
	Host   Host           `json:"host"`
	Status []CellStatus   `json:"cells"`
	// Interrupted says that the run was stopped before its last trial.
	Interrupted bool     `json:"interrupted,omitempty"`
	Warnings    []string `json:"warnings,omitempty"`
}

// Axis is a setting and its values.
type Axis struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

// Host is the machine and the versions that a run was recorded with.
type Host struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	CPUs     int    `json:"cpus"`
	CPUModel string `json:"cpu_model"`
	Memory   int64  `json:"memory"`
	Cgroup   string `json:"cgroup"` // as Isolation.Kind
	Go       string `json:"go"`
	Memsoak  string `json:"memsoak"`
}

// CellStatus is how far a cell is.
type CellStatus struct {
	Cell   Cell          `json:"cell"`
	Dir    string        `json:"dir"` // below the run's directory, slash-separated: cells/<cell>
	Trials []TrialStatus `json:"trials"`
}

// TrialStatus is how far a trial is. An empty outcome means planned or cut short.
type TrialStatus struct {
	Index   int       `json:"index"`
	Kind    TrialKind `json:"kind"`
	Outcome Outcome   `json:"outcome,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
}

// Agrees says how a trial that ended so contradicts what the run has of it, nil where it doesn't.
func (s TrialStatus) Agrees(o Outcome) error {
	if s.Outcome == "" || s.Outcome == o {
		return nil
	}
	return fmt.Errorf("trial %d ended as %q by %s and as %q by its own record: record it again with soak run --resume",
		s.Index, s.Outcome, RunFile, o)
}
