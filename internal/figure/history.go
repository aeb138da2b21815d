package figure

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/perf/benchmath"
)

// History is the committed file of figures that were measured before, oldest first. Figures are ratios of what ran side
// by side, so that those of another machine say something; they are compared with those of as many processors alone.
type History struct {
	Entries []Entry `json:"entries"`
}

// Entry is one run of a benchmark.
type Entry struct {
	Date       string  `json:"date"`
	Revision   string  `json:"revision"`
	Benchmark  string  `json:"benchmark"`
	Processors int     `json:"processors"`
	Figures    []Ratio `json:"figures"`
}

// Ratio is one figure: the values that its median is of, of which less is better.
type Ratio struct {
	Name   string    `json:"name"`
	Values []float64 `json:"values"`
}

// ReadHistory reads the file; one that isn't there is empty.
func ReadHistory(path string) (*History, error) {
	h := &History{}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, h); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}

// Add writes the file with one more entry.
func (h *History) Add(path string, e Entry) error {
	e.Date = cmp.Or(e.Date, time.Now().UTC().Format(time.DateOnly))
	h.Entries = append(h.Entries, e)
	b, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// Change is what became of a figure since the last entry that has it.
type Change struct {
	Name     string
	Since    string // date and revision of that entry; empty when there is none
	Old, New Interval
	P        float64 // that both are the same (Mann-Whitney, as benchstat has it)
}

// Alpha is the chance of taking noise for a change.
const Alpha = 0.05

// Differs says that there is more to the change than noise.
func (c Change) Differs() bool { return c.Since != "" && c.P < Alpha }

// Worse says that the figure became worse.
func (c Change) Worse() bool { return c.Differs() && c.New.Median > c.Old.Median }

func (c Change) String() string {
	if c.Since == "" {
		return c.Name + ": new"
	}
	delta, mark := "~", ""
	if c.Differs() {
		delta = fmt.Sprintf("%+.1f %%", 100*(c.New.Median/c.Old.Median-1))
	}
	if c.Worse() {
		mark = "  WORSE"
	}
	return fmt.Sprintf("%s: %.3f -> %.3f  %s (p=%.3f, since %s)%s", c.Name, c.Old.Median, c.New.Median, delta, c.P,
		c.Since, mark)
}

// Compare compares each figure of an entry with the newest of the same benchmark, name and number of processors.
func (h *History) Compare(e Entry) []Change {
	var all []Change
	for _, r := range e.Figures {
		c := Change{Name: r.Name, New: Summarize(r.Values)}
		for _, old := range slices.Backward(h.Entries) {
			i := slices.IndexFunc(old.Figures, func(o Ratio) bool { return o.Name == r.Name })
			if i < 0 || old.Benchmark != e.Benchmark || old.Processors != e.Processors {
				continue
			}
			was := old.Figures[i].Values
			c.Since, c.Old = old.Date+" "+old.Revision, Summarize(was)
			c.P = benchmath.AssumeNothing.Compare(sample(was), sample(r.Values)).P
			break
		}
		all = append(all, c)
	}
	return all
}
