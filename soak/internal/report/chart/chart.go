// Package chart draws the line charts of the report as inline SVG: gonum/plot does scales, ticks and layout, and a
// small canvas writes its strokes with CSS classes instead of colours, so that one drawing serves light, dark and
// paper.
//
// Shapes that no charting package has (flame graph, waterfall, heat map) are not here: the report writes them as HTML.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

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
	XTicks plot.Ticker
	YTicks plot.Ticker
	XMax   float64
	YMin   float64 // where the axis begins
}

// fontSize is the size of tick labels, in the units of the drawing.
const fontSize = 11

// SVG draws the chart at a size in CSS pixels. The text is written for that size: a page that is much narrower needs a
// drawing of its own.
func (c Chart) SVG(width, height float64) (template.HTML, error) {
	p := plot.New()
	p.BackgroundColor = nil
	styleAxis(&p.X, c.XTicks)
	styleAxis(&p.Y, c.YTicks)
	p.Y.LineStyle.Width = 0
	p.Add(grid())
	for _, a := range c.Areas {
		poly, err := plotter.NewPolygon(outline(a))
		if err != nil {
			return "", fmt.Errorf("draw area %s: %w", a.Ink, err)
		}
		poly.Color, poly.LineStyle.Width = a.Ink, 0
		p.Add(poly)
	}
	for _, l := range c.Lines {
		if err := addLine(p, l); err != nil {
			return "", err
		}
	}
	for _, l := range c.Levels {
		p.Y.Max = max(p.Y.Max, l.Y*1.04)
	}
	p.Y.Min = c.YMin
	p.Y.Max = max(p.Y.Max+(p.Y.Max-p.Y.Min)*0.04, p.Y.Min+1)
	p.X.Max = max(p.X.Max, c.XMax, p.X.Min+1)

	cv := &canvas{height: height}
	dc := draw.NewCanvas(cv, vg.Length(width), vg.Length(height))
	dc = draw.Crop(dc, 0, -vg.Length(fontSize), 0, -vg.Length(fontSize)/2) // room for the outermost labels
	p.Draw(dc)

	data := p.DataCanvas(dc)
	x, y := p.Transforms(&data)
	f := frame{x: func(v float64) float64 { return float64(x(math.Min(math.Max(v, p.X.Min), p.X.Max))) },
		y:   func(v float64) float64 { return height - float64(y(v)) },
		top: height - float64(data.Max.Y), bottom: height - float64(data.Min.Y), left: float64(data.Min.X),
		right: float64(data.Max.X)}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %s %s" role="img" aria-label="%s">`, num(width), num(height),
		html.EscapeString(c.Label))
	c.under(&b, f)
	b.WriteString(cv.b.String())
	c.over(&b, f)
	b.WriteString("</svg>")
	return template.HTML(b.String()), nil
}

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

// over writes levels, marks and what is shown on hover.
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

func styleAxis(a *plot.Axis, ticks plot.Ticker) {
	a.Tick.Label.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: fontSize}
	a.Tick.Label.Color = Ink("label")
	a.Tick.LineStyle.Width = 0
	a.Tick.Length = 4
	a.LineStyle.Color, a.LineStyle.Width = Ink("axis"), 1
	a.Padding = 0
	if ticks != nil {
		a.Tick.Marker = ticks
	}
}

func grid() *plotter.Grid {
	g := plotter.NewGrid()
	g.Vertical.Width = 0
	g.Horizontal.Color, g.Horizontal.Width, g.Horizontal.Dashes = Ink("grid"), 1, nil
	return g
}

func outline(a Area) plotter.XYs {
	pts := make(plotter.XYs, 0, 2*len(a.X))
	for i := range a.X {
		pts = append(pts, plotter.XY{X: a.X[i], Y: a.Lo[i]})
	}
	for i := len(a.X) - 1; i >= 0; i-- {
		pts = append(pts, plotter.XY{X: a.X[i], Y: a.Hi[i]})
	}
	return pts
}

func addLine(p *plot.Plot, l Line) error {
	pts := make(plotter.XYs, len(l.X))
	for i := range l.X {
		pts[i] = plotter.XY{X: l.X[i], Y: l.Y[i]}
	}
	line, dots, err := plotter.NewLinePoints(pts)
	if err != nil {
		return fmt.Errorf("draw line %s: %w", l.Ink, err)
	}
	line.Color, line.Width = l.Ink, 2
	dots.GlyphStyle = draw.GlyphStyle{Color: l.Ink, Radius: 3, Shape: draw.CircleGlyph{}}
	if !l.NoLine {
		p.Add(line)
	}
	if l.Dots || l.NoLine {
		p.Add(dots)
	}
	return nil
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
