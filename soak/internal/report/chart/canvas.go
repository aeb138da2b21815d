package chart

import (
	"fmt"
	"html"
	"image"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// Ink is a colour of the page by the name of its CSS class. It satisfies color.Color so that gonum/plot carries it to
// the canvas; the colour itself is the style sheet's.
type Ink string

// RGBA is opaque black: only the name of an Ink counts.
func (Ink) RGBA() (r, g, b, a uint32) { return color.Black.RGBA() }

// canvas is a vg.Canvas that writes SVG elements with classes: "s INK" for strokes, "f INK" for fills.
type canvas struct {
	height float64
	b      strings.Builder
	now    context
	stack  []context
}

// context is what Push saves: the pen and the transform from user space to canvas space (y upwards).
type context struct {
	width  vg.Length
	ink    Ink
	dashed bool
	m      [6]float64 // x' = m0 x + m2 y + m4, y' = m1 x + m3 y + m5
	set    bool
}

func (c *context) matrix() [6]float64 {
	if !c.set {
		return [6]float64{1, 0, 0, 1, 0, 0}
	}
	return c.m
}

// apply puts t before the present transform.
func (c *context) apply(t [6]float64) {
	m := c.matrix()
	c.m = [6]float64{
		m[0]*t[0] + m[2]*t[1], m[1]*t[0] + m[3]*t[1],
		m[0]*t[2] + m[2]*t[3], m[1]*t[2] + m[3]*t[3],
		m[0]*t[4] + m[2]*t[5] + m[4], m[1]*t[4] + m[3]*t[5] + m[5],
	}
	c.set = true
}

func (c *canvas) SetLineWidth(w vg.Length)               { c.now.width = w }
func (c *canvas) SetLineDash(d []vg.Length, _ vg.Length) { c.now.dashed = len(d) > 0 }
func (c *canvas) Translate(p vg.Point) {
	c.now.apply([6]float64{1, 0, 0, 1, float64(p.X), float64(p.Y)})
}
func (c *canvas) Scale(x, y float64)                      { c.now.apply([6]float64{x, 0, 0, y, 0, 0}) }
func (c *canvas) Push()                                   { c.stack = append(c.stack, c.now) }
func (c *canvas) DrawImage(_ vg.Rectangle, _ image.Image) {}

func (c *canvas) Rotate(rad float64) {
	sin, cos := math.Sincos(rad)
	c.now.apply([6]float64{cos, sin, -sin, cos, 0, 0})
}

func (c *canvas) Pop() {
	c.now = c.stack[len(c.stack)-1]
	c.stack = c.stack[:len(c.stack)-1]
}

func (c *canvas) SetColor(clr color.Color) {
	ink, ok := clr.(Ink)
	if !ok {
		ink = "axis"
	}
	c.now.ink = ink
}

// at maps a point to the drawing, whose y grows downwards.
func (c *canvas) at(p vg.Point) (x, y float64) {
	m := c.now.matrix()
	px, py := float64(p.X), float64(p.Y)
	return m[0]*px + m[2]*py + m[4], c.height - (m[1]*px + m[3]*py + m[5])
}

func (c *canvas) Stroke(p vg.Path) {
	if c.now.width <= 0 {
		return
	}
	class := "s"
	if c.now.dashed {
		class = "s dash"
	}
	fmt.Fprintf(&c.b, `<path class="%s %s" d="%s"/>`, class, c.now.ink, c.data(p))
}

func (c *canvas) Fill(p vg.Path) {
	fmt.Fprintf(&c.b, `<path class="f %s" d="%s"/>`, c.now.ink, c.data(p))
}

// data is the path in SVG's language. Arcs are whole circles here (the dots), written as two half circles.
func (c *canvas) data(path vg.Path) string {
	var b strings.Builder
	for _, k := range path {
		x, y := c.at(k.Pos)
		switch k.Type {
		case vg.MoveComp:
			b.WriteString("M" + num(x) + " " + num(y))
		case vg.LineComp:
			b.WriteString("L" + num(x) + " " + num(y))
		case vg.ArcComp:
			c.arc(&b, k, x, y)
		case vg.CurveComp:
			b.WriteString(map[int]string{1: "Q", 2: "C"}[len(k.Control)])
			for _, q := range k.Control {
				qx, qy := c.at(q)
				b.WriteString(num(qx) + " " + num(qy) + " ")
			}
			b.WriteString(num(x) + " " + num(y))
		case vg.CloseComp:
			b.WriteByte('Z')
		}
	}
	return b.String()
}

func (c *canvas) arc(b *strings.Builder, k vg.PathComp, x, y float64) {
	r := float64(k.Radius)
	point := func(angle float64) string {
		sin, cos := math.Sincos(angle)
		return num(x+r*cos) + " " + num(y-r*sin)
	}
	sweep := "0"
	if k.Angle < 0 {
		sweep = "1"
	}
	for _, part := range []float64{0.5, 1} {
		fmt.Fprintf(b, "A%s %s 0 0 %s %s", num(r), num(r), sweep, point(k.Start+part*k.Angle))
	}
}

func (c *canvas) FillString(_ font.Face, p vg.Point, text string) {
	x, y := c.at(p)
	m := c.now.matrix()
	turn := ""
	if a := -math.Atan2(m[1], m[0]) * 180 / math.Pi; math.Abs(a) > 0.01 {
		turn = fmt.Sprintf(` transform="rotate(%s %s %s)"`, num(a), num(x), num(y))
	}
	fmt.Fprintf(&c.b, `<text class="%s" x="%s" y="%s"%s>%s</text>`, c.now.ink, num(x), num(y), turn,
		html.EscapeString(text))
}

// num writes a coordinate with one decimal at most: a tenth of a pixel.
func num(v float64) string {
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
}
