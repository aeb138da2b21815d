package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Cell and Axis are the schema's.
type (
	Cell = record.Cell
	Axis = record.Axis
)

// Design says which combinations of the axes' values become cells.
type Design string

// The designs.
const (
	Star  Design = "star"  // the centre, and each axis varied alone
	Full  Design = "full"  // every combination
	Pairs Design = "pairs" // every pair of values of two axes at least once
)

// Matrix is a set of axes and how they are combined.
type Matrix struct {
	Axes   []Axis
	Design Design
	// Center is the middle of a star; axes that it lacks are at the value in the middle of their list.
	Center Cell
	// Explicit cells are used as they are, beside the design's when there are axes. An axis that such a cell lacks
	// stays at its setting.
	Explicit []Cell
}

// maxCells bounds a matrix: beyond it a design is surely a slip.
const maxCells = 10_000

// Cells returns the matrix's cells in a stable order, without duplicates.
func (m Matrix) Cells() ([]Cell, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	var out []Cell
	if len(m.Axes) > 0 || len(m.Explicit) == 0 {
		switch m.Design {
		case Full:
			out = m.full()
		case Pairs:
			out = m.pairs()
		default:
			out = m.star()
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(append(out, m.Explicit...), func(c Cell) bool {
		dup := seen[c.String()]
		seen[c.String()] = true
		return dup
	}), nil
}

func (m Matrix) check() error {
	switch m.Design {
	case Star, Full, Pairs, "":
	default:
		return fmt.Errorf("unknown design %q; known: star, full, pairs", m.Design)
	}
	seen := map[string]bool{}
	product := 1
	for _, a := range m.Axes {
		if a.Name == "" || len(a.Values) == 0 {
			return fmt.Errorf("axis %q has no values", a.Name)
		}
		if seen[a.Name] {
			return fmt.Errorf("axis %q is given twice", a.Name)
		}
		seen[a.Name] = true
		values := map[string]bool{}
		for _, v := range a.Values {
			if values[v] {
				return fmt.Errorf("axis %s has the value %q twice", a.Name, v)
			}
			values[v] = true
		}
		if product *= len(a.Values); product > maxCells && m.Design == Full {
			return fmt.Errorf("a full design of these axes has more than %d cells; use star or pairs", maxCells)
		}
	}
	for k, v := range m.Center {
		i := slices.IndexFunc(m.Axes, func(a Axis) bool { return a.Name == k })
		if i < 0 {
			return fmt.Errorf("center names %q, which is no axis", k)
		}
		if !slices.Contains(m.Axes[i].Values, v) {
			return fmt.Errorf("center has %s=%s, which is not among the axis's values %s", k, v, strings.Join(m.Axes[i].Values,
				", "))
		}
	}
	return nil
}

func (m Matrix) middle() Cell {
	c := Cell{}
	for _, a := range m.Axes {
		c[a.Name] = a.Values[len(a.Values)/2]
	}
	maps.Copy(c, m.Center)
	return c
}

func (m Matrix) star() []Cell {
	center := m.middle()
	out := []Cell{center}
	for _, a := range m.Axes {
		for _, v := range a.Values {
			c := maps.Clone(center)
			c[a.Name] = v
			out = append(out, c)
		}
	}
	return out
}

func (m Matrix) full() []Cell {
	out := []Cell{{}}
	for _, a := range m.Axes {
		var next []Cell
		for _, c := range out {
			for _, v := range a.Values {
				n := maps.Clone(c)
				n[a.Name] = v
				next = append(next, n)
			}
		}
		out = next
	}
	return out
}

// pair is two axes at a value each, as indexes, the first axis before the second.
type pair struct{ a, va, b, vb int }

// pairs covers all pairs greedily: each row begins with a pair that is still missing and takes, axis by axis, the
// value that adds most. It needs a few rows more than the optimum and no search.
func (m Matrix) pairs() []Cell {
	if len(m.Axes) < 2 {
		return m.full()
	}
	missing := map[pair]bool{}
	var order []pair
	for a := range m.Axes {
		for b := a + 1; b < len(m.Axes); b++ {
			for va := range m.Axes[a].Values {
				for vb := range m.Axes[b].Values {
					p := pair{a, va, b, vb}
					missing[p] = true
					order = append(order, p)
				}
			}
		}
	}
	var out []Cell
	for _, first := range order {
		if !missing[first] {
			continue
		}
		row := map[int]int{first.a: first.va, first.b: first.vb}
		for x := range m.Axes {
			if _, fixed := row[x]; !fixed {
				row[x] = m.best(row, x, missing)
			}
		}
		c := Cell{}
		for x, v := range row {
			c[m.Axes[x].Name] = m.Axes[x].Values[v]
			for y, w := range row {
				delete(missing, pair{x, v, y, w})
			}
		}
		out = append(out, c)
	}
	return out
}

// best is the value of axis x that covers most missing pairs with the row's values so far.
func (m Matrix) best(row map[int]int, x int, missing map[pair]bool) int {
	best, most := 0, -1
	for v := range m.Axes[x].Values {
		n := 0
		for y, w := range row {
			p := pair{y, w, x, v}
			if y > x {
				p = pair{x, v, y, w}
			}
			if missing[p] {
				n++
			}
		}
		if n > most {
			best, most = v, n
		}
	}
	return best
}
