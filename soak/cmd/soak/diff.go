package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
)

func newDiffCmd() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two runs, trials or recordings",
		Long: `Compare two runs, trials or recordings: outcome, headline, peak, what a unit of work costs, and the places
that hold more or less at the peak. Cells of the same settings are compared; a trial or a recording has one.

A and B are a run's directory, a trial's directory, or a folder of heap profiles. A cost is the same (~) where its
95 % intervals overlap. One that is missing on a side is "gone" or "new" only where that side would have seen it;
else it is "not seen".`,
		Example: `  soak diff soak-results/before soak-results/after
  soak diff run/cells/workers=1/trial-1 run/cells/workers=8/trial-1
  soak diff monday/ tuesday/ --json`,
		Args: usageArgs(cobra.ExactArgs(2)),
		RunE: func(c *cobra.Command, args []string) error {
			a, err := verdictsOf(args[0])
			if err != nil {
				return err
			}
			b, err := verdictsOf(args[1])
			if err != nil {
				return err
			}
			d := diffOf(a, b)
			if len(d.Cells) == 0 {
				return exitcode.Usage(fmt.Errorf("%s and %s have no cell in common: compare two trials of them", args[0], args[1]))
			}
			return show(c.OutOrStdout(), asJSON, d, func() { writeDiff(c.OutOrStdout(), d) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the comparison as JSON")
	return c
}

// verdictsOf reads the verdicts of a run or a trial, or judges it where it has none yet, as it does a folder of
// profiles.
func verdictsOf(dir string) ([]record.Verdict, error) {
	switch {
	case recorded(dir, record.RunFile):
		if _, err := record.ReadRun(dir); errors.Is(err, record.ErrSchema) {
			return nil, err
		}
		rv, err := record.ReadRunVerdict(dir)
		if errors.Is(err, fs.ErrNotExist) {
			rv, err = profiles.DiagnoseRun(dir, profiles.Options{})
		}
		if err != nil {
			return nil, exitcode.Usage(err)
		}
		return rv.Cells, nil
	case recorded(dir, record.TrialFile):
		v, err := record.ReadVerdict(dir)
		if errors.Is(err, fs.ErrNotExist) {
			v, err = profiles.DiagnoseTrial(dir, profiles.Options{})
		}
		if err != nil {
			return nil, exitcode.Usage(err)
		}
		return []record.Verdict{*v}, nil
	case !isDir(dir):
		return nil, exitcode.Usage(fmt.Errorf("%s is no directory of a run, of a trial or of profiles", filepath.Clean(dir)))
	}
	v, err := oneVerdict([]string{dir}, false, diagnoseOptions{})
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	return []record.Verdict{*v}, nil
}

// diff is what soak diff prints.
type diff struct {
	Cells []cellDiff `json:"cells"`
	// OnlyA and OnlyB are cells that the other side has not.
	OnlyA []string `json:"only_a,omitempty"`
	OnlyB []string `json:"only_b,omitempty"`
}

// cellDiff compares the trials of one cell.
type cellDiff struct {
	Cell  string     `json:"cell"`
	A     side       `json:"a"`
	B     side       `json:"b"`
	Costs []costDiff `json:"costs"`
	Sites []siteDiff `json:"sites"`
}

// side is one side's trials of a cell: each outcome and headline once, and the range of the peaks in bytes.
type side struct {
	Trials    int      `json:"trials"`
	Outcomes  []string `json:"outcomes"`
	Headlines []string `json:"headlines"`
	Peak      [2]int64 `json:"peak"`
}

// estimate is a cost in bytes with its interval.
type estimate struct {
	Bytes float64    `json:"bytes"`
	CI95  [2]float64 `json:"ci95"`
}

// costDiff is what one unit costs at one place on either side. Change is same, grew, shrank, new, gone or not seen.
type costDiff struct {
	Class    record.Class `json:"class"`
	Function string       `json:"function"`
	Per      string       `json:"per"`
	A        *estimate    `json:"a,omitempty"`
	B        *estimate    `json:"b,omitempty"`
	Change   string       `json:"change"`
}

// siteDiff is what one function held at the largest peak of either side, bytes.
type siteDiff struct {
	Function string `json:"function"`
	A        int64  `json:"a"`
	B        int64  `json:"b"`
}

func diffOf(a, b []record.Verdict) diff {
	byA, byB := byCell(a), byCell(b)
	var d diff
	if len(byA) == 1 && len(byB) == 1 { // the comparison may be of settings
		for ca, va := range byA {
			for cb, vb := range byB {
				d.Cells = append(d.Cells, diffCell(strings.Join(slices.Compact([]string{ca, cb}), " against "), va, vb))
			}
		}
		return d
	}
	for cell, va := range byA {
		if vb, ok := byB[cell]; ok {
			d.Cells = append(d.Cells, diffCell(cell, va, vb))
		} else {
			d.OnlyA = append(d.OnlyA, cell)
		}
	}
	for cell := range byB {
		if _, ok := byA[cell]; !ok {
			d.OnlyB = append(d.OnlyB, cell)
		}
	}
	slices.SortFunc(d.Cells, func(a, b cellDiff) int { return strings.Compare(a.Cell, b.Cell) })
	slices.Sort(d.OnlyA)
	slices.Sort(d.OnlyB)
	return d
}

func byCell(vs []record.Verdict) map[string][]record.Verdict {
	out := map[string][]record.Verdict{}
	for _, v := range vs {
		out[v.Cell.String()] = append(out[v.Cell.String()], v)
	}
	return out
}

func diffCell(cell string, a, b []record.Verdict) cellDiff {
	return cellDiff{Cell: cell, A: sideOf(a), B: sideOf(b), Costs: diffCosts(a, b), Sites: diffSites(a, b)}
}

func sideOf(vs []record.Verdict) side {
	s := side{Trials: len(vs), Peak: [2]int64{math.MaxInt64, 0}}
	for _, v := range vs {
		if o := string(v.Outcome); !slices.Contains(s.Outcomes, o) {
			s.Outcomes = append(s.Outcomes, o)
		}
		if h := v.Headline.String(); !slices.Contains(s.Headlines, h) {
			s.Headlines = append(s.Headlines, h)
		}
		peak := v.Peak.Bytes()
		s.Peak = [2]int64{min(s.Peak[0], peak), max(s.Peak[1], peak)}
	}
	return s
}

// costKey is what makes two costs the same: lines move from one version to the next.
type costKey struct {
	class    record.Class
	function string
	per      string
}

func diffCosts(a, b []record.Verdict) []costDiff {
	costsA, costsB := costsOf(a), costsOf(b)
	keys := map[costKey]bool{}
	for k := range costsA {
		keys[k] = true
	}
	for k := range costsB {
		keys[k] = true
	}
	out := []costDiff{}
	for k := range keys {
		c := costDiff{Class: k.class, Function: k.function, Per: k.per, A: costsA[k], B: costsB[k]}
		c.Change = change(c, a, b)
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y costDiff) int {
		return cmp.Or(cmp.Compare(y.largest(), x.largest()), strings.Compare(x.Function, y.Function),
			strings.Compare(x.Per, y.Per), strings.Compare(string(x.Class), string(y.Class)))
	})
	return out
}

func (c costDiff) largest() float64 {
	most := 0.0
	for _, e := range []*estimate{c.A, c.B} {
		if e != nil {
			most = math.Max(most, e.Bytes)
		}
	}
	return most
}

// costsOf are the costs of a side's trials; of several trials the mean, with the interval that covers all of theirs.
func costsOf(vs []record.Verdict) map[costKey]*estimate {
	out, n := map[costKey]*estimate{}, map[costKey]float64{}
	for _, v := range vs {
		for _, c := range v.Costs {
			k := costKey{c.Class, c.Site.Function, c.Per}
			e := out[k]
			if e == nil {
				e = &estimate{CI95: c.CI95}
				out[k] = e
			}
			n[k]++
			e.Bytes += (c.Bytes - e.Bytes) / n[k]
			e.CI95 = [2]float64{math.Min(e.CI95[0], c.CI95[0]), math.Max(e.CI95[1], c.CI95[1])}
		}
	}
	return out
}

func change(c costDiff, a, b []record.Verdict) string {
	switch {
	case c.A == nil && excludes(a, c):
		return "new"
	case c.B == nil && excludes(b, c):
		return "gone"
	case c.A == nil || c.B == nil:
		return "not seen"
	case c.A.CI95[0] <= c.B.CI95[1] && c.B.CI95[0] <= c.A.CI95[1]:
		return "same"
	case c.A.Bytes < c.B.Bytes:
		return "grew"
	}
	return "shrank"
}

// excludes reports whether each of the trials would have seen a cost that none has: its hypothesis is excluded with a
// limit below the cost. A healthy headline alone says nothing of costs below its limits.
func excludes(vs []record.Verdict, c costDiff) bool {
	for _, v := range vs {
		if !slices.ContainsFunc(v.Hypotheses, func(h record.Hypothesis) bool {
			return h.Class == c.Class && h.Per == c.Per && h.State == record.Excluded && h.Limit <= c.largest()
		}) {
			return false
		}
	}
	return len(vs) > 0
}

const (
	// leastSite and leastSiteShare are from where a function's difference at the peak is worth a line.
	leastSite      = 64 << 10
	leastSiteShare = 0.1
	mostSites      = 8
)

func diffSites(a, b []record.Verdict) []siteDiff {
	heldA, heldB := heldAtPeak(a), heldAtPeak(b)
	out := []siteDiff{}
	add := func(function string) {
		d := siteDiff{function, heldA[function], heldB[function]}
		if by := max(d.A, d.B) - min(d.A, d.B); by >= leastSite && float64(by) >= leastSiteShare*float64(max(d.A, d.B)) {
			out = append(out, d)
		}
	}
	for function := range heldA {
		add(function)
	}
	for function := range heldB {
		if _, ok := heldA[function]; !ok {
			add(function)
		}
	}
	slices.SortFunc(out, func(x, y siteDiff) int {
		return cmp.Or(cmp.Compare(max(y.A, y.B)-min(y.A, y.B), max(x.A, x.B)-min(x.A, x.B)), strings.Compare(x.Function,
			y.Function))
	})
	return out[:min(len(out), mostSites)]
}

// heldAtPeak is what each of the largest functions held in the trial with the largest peak.
func heldAtPeak(vs []record.Verdict) map[string]int64 {
	out := map[string]int64{}
	if len(vs) == 0 {
		return out
	}
	top := slices.MaxFunc(vs, func(a, b record.Verdict) int { return cmp.Compare(a.Peak.Bytes(), b.Peak.Bytes()) })
	for _, t := range top.TopAtPeak {
		out[t.Site.Function] += t.Bytes
	}
	return out
}
