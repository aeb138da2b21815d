// Package chart draws the line charts of the report as inline SVG, with CSS classes instead of colours, so that one
// drawing serves light, dark and paper.
//
// Other shapes (flame graph, waterfall, heat map) are not here: the report writes them as HTML.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Ink is a colour of the page by the name of its CSS class: "s INK" for strokes, "f INK" for fills.
type Ink string

// Line is a series of points in order of X. X and Y have the same length.
type Line struct {
	Ink    Ink
	X, Y   []float64
	Dots   bool // draw a dot at each point
	NoLine bool // draw the dots only
}

// Area is the surface between two curves over the same X, as an interval.
type Area struct {
	Ink       Ink
	X, Lo, Hi []float64
}

// Band shades a stretch of X from bottom to top; Text is shown on hover.
type Band struct {
	Ink      Ink
	From, To float64
	Text     string
}

// Mark is an event at X; Text is shown on hover and read out.
type Mark struct {
	Ink  Ink
	X    float64
	Text string
}

// Level is a horizontal line, such as a limit.
type Level struct {
	Ink Ink
	Y   float64
}

// Tick is a stroke at the bottom of the chart, of a height from 0 to 1.
type Tick struct{ X, Height float64 }

// Tip is a text that is shown on hover at X.
type Tip struct {
	X    float64
	Text string
}

// Chart is what to draw. The zero values of the ranges mean: X from the data, Y from 0.
type Chart struct {
	Label  string // what the chart shows, for those who can't see it
	Lines  []Line
	Areas  []Area
	Bands  []Band
	Marks  []Mark
	Levels []Level
	Ticks  []Tick
	Tips   []Tip
	XTicks Scale
	YTicks Scale
	XMax   float64
	YMin   float64 // where the axis begins
}

// fontSize is the size of tick labels, in the units of the drawing.
const fontSize = 11

// The room around the plot, beside that of the labels.
const (
	padTop, padRight = fontSize / 2, fontSize // half of the outermost labels
	padAxis          = 4                      // between an axis and its labels
)

// SVG draws the chart at a size in CSS pixels. The text is written for that size: a page that is much narrower needs a
// drawing of its own.
func (c Chart) SVG(width, height float64) template.HTML {
	x, y := c.extent()
	yLabels := c.YTicks(y.lo, y.hi)
	left := 0.0
	for _, l := range yLabels {
		left = max(left, textWidth(l.Text))
	}
	f := frame{top: padTop, bottom: height - fontSize - padAxis, left: left + padAxis, right: width - padRight}
	f.x = func(v float64) float64 { return f.left + x.share(min(max(v, x.lo), x.hi))*(f.right-f.left) }
	f.y = func(v float64) float64 { return f.bottom - y.share(v)*(f.bottom-f.top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %s %s" role="img" aria-label="%s">`, num(width), num(height),
		html.EscapeString(c.Label))
	c.under(&b, f)
	f.axes(&b, c.XTicks(x.lo, x.hi), yLabels)
	c.data(&b, f)
	c.over(&b, f)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// span is a range of values.
type span struct{ lo, hi float64 }

func (s span) share(v float64) float64 { return (v - s.lo) / (s.hi - s.lo) }

// extent is what the axes show: the data with a little room above, and every level.
func (c Chart) extent() (x, y span) {
	x, y = span{math.Inf(1), c.XMax}, span{c.YMin, c.YMin}
	see := func(xs []float64, yss ...[]float64) {
		for _, v := range xs {
			x.lo, x.hi = min(x.lo, v), max(x.hi, v)
		}
		for _, v := range slices.Concat(yss...) {
			y.hi = max(y.hi, v)
		}
	}
	for _, a := range c.Areas {
		see(a.X, a.Lo, a.Hi)
	}
	for _, l := range c.Lines {
		see(l.X, l.Y)
	}
	for _, l := range c.Levels {
		y.hi = max(y.hi, l.Y*1.04)
	}
	if math.IsInf(x.lo, 1) {
		x.lo = 0
	}
	x.hi = max(x.hi, x.lo+1)
	y.hi = max(y.hi+(y.hi-y.lo)*0.04, y.lo+1)
	return x, y
}

// textWidth is about the width of a label: Arial's digits and letters are half as wide as high, or somewhat more.
func textWidth(s string) float64 { return 0.58 * fontSize * float64(utf8.RuneCountInString(s)) }

// frame maps data to the drawing, y downwards.
type frame struct {
	x, y                     func(float64) float64
	top, bottom, left, right float64
}

// under writes the bands.
func (c Chart) under(b *strings.Builder, f frame) {
	for _, d := range c.Bands {
		x0, x1 := f.x(d.From), f.x(d.To)
		fmt.Fprintf(b, `<rect class="band %s" x="%s" y="%s" width="%s" height="%s"/>`, d.Ink, num(x0), num(f.top),
			num(max(0.5, x1-x0)), num(f.bottom-f.top))
	}
}

// over writes levels, marks and the hover texts.
func (c Chart) over(b *strings.Builder, f frame) {
	for _, l := range c.Levels {
		fmt.Fprintf(b, `<path class="level %s" d="M%s %sH%s"/>`, l.Ink, num(f.left), num(f.y(l.Y)), num(f.right))
	}
	if len(c.Ticks) > 0 {
		b.WriteString(`<path class="ticks" d="`)
		for _, t := range c.Ticks {
			fmt.Fprintf(b, "M%s %sv%s", num(f.x(t.X)), num(f.bottom), num(-3-9*t.Height))
		}
		b.WriteString(`"/>`)
	}
	for i, t := range c.Tips {
		lo, hi := f.left, f.right
		if i > 0 {
			lo = (f.x(c.Tips[i-1].X) + f.x(t.X)) / 2
		}
		if i+1 < len(c.Tips) {
			hi = (f.x(t.X) + f.x(c.Tips[i+1].X)) / 2
		}
		fmt.Fprintf(b, `<rect class="tip" x="%s" y="%s" width="%s" height="%s"><title>%s</title></rect>`,
			num(lo), num(f.top), num(max(0.5, hi-lo)), num(f.bottom-f.top), html.EscapeString(t.Text))
	}
	for _, m := range c.Marks {
		x := f.x(m.X)
		fmt.Fprintf(b, `<g class="mark %s"><title>%s</title><path d="M%s %sV%s"/><path class="flag" d="M%s %sl-4-7h8z"/></g>`,
			m.Ink, html.EscapeString(m.Text), num(x), num(f.top), num(f.bottom), num(x), num(f.top+7))
	}
}

// axes writes the grid, the axis below and the labels.
func (f frame) axes(b *strings.Builder, xs, ys []Label) {
	for _, l := range ys {
		y := f.y(l.At)
		fmt.Fprintf(b, `<path class="s grid" d="M%s %sH%s"/><text class="label" text-anchor="end" x="%s" y="%s">%s</text>`,
			num(f.left), num(y), num(f.right), num(f.left-padAxis), num(y+fontSize/3.0), html.EscapeString(l.Text))
	}
	fmt.Fprintf(b, `<path class="s axis" d="M%s %sH%s"/>`, num(f.left), num(f.bottom), num(f.right))
	for _, l := range xs {
		fmt.Fprintf(b, `<text class="label" text-anchor="middle" x="%s" y="%s">%s</text>`, num(f.x(l.At)),
			num(f.bottom+padAxis+0.8*fontSize), html.EscapeString(l.Text))
	}
}

// data writes areas, lines and dots.
func (c Chart) data(b *strings.Builder, f frame) {
	path := func(x, y []float64) string {
		var p []string
		for i := range x {
			p = append(p, num(f.x(x[i]))+" "+num(f.y(y[i])))
		}
		return strings.Join(p, "L")
	}
	for _, a := range c.Areas {
		back, low := slices.Clone(a.X), slices.Clone(a.Lo)
		slices.Reverse(back)
		slices.Reverse(low)
		fmt.Fprintf(b, `<path class="f %s" d="M%sL%sZ"/>`, a.Ink, path(a.X, a.Hi), path(back, low))
	}
	for _, l := range c.Lines {
		if !l.NoLine && len(l.X) > 0 {
			fmt.Fprintf(b, `<path class="s %s" d="M%s"/>`, l.Ink, path(l.X, l.Y))
		}
		if !l.Dots && !l.NoLine {
			continue
		}
		for i := range l.X {
			fmt.Fprintf(b, `<circle class="f %s" cx="%s" cy="%s" r="3"/>`, l.Ink, num(f.x(l.X[i])), num(f.y(l.Y[i])))
		}
	}
}

// num writes a coordinate with one decimal at most: a tenth of a pixel.
func num(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}

// Thin keeps at most n of the points of a curve: the highest of each stretch, and the last, so that no peak is lost.
func Thin(x, y []float64, n int) (tx, ty []float64) {
	if len(x) <= n || n < 2 {
		return x, y
	}
	for i := range n - 1 {
		lo, hi := i*(len(x)-1)/(n-1), (i+1)*(len(x)-1)/(n-1)
		best := lo
		for j := lo; j < hi; j++ {
			if y[j] > y[best] {
				best = j
			}
		}
		tx, ty = append(tx, x[best]), append(ty, y[best])
	}
	return append(tx, x[len(x)-1]), append(ty, y[len(y)-1])
}

// Seconds is the X value of a time.
func Seconds(start, t time.Time) float64 { return t.Sub(start).Seconds() }
