package report

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"html/template"
	"io"
	"math"
	"path"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/record"
)

//go:embed assets
var assets embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"css":        func() template.CSS { return template.CSS(asset("page.css")) },
	"js":         func() template.JS { return template.JS(asset("page.js")) },
	"bytes":      Bytes,
	"exact":      exact,
	"size":       size,
	"peak":       peakText,
	"many":       many,
	"sizef":      func(v float64) template.HTML { return size(int64(math.Round(v))) },
	"quantity":   quantity,
	"interval":   interval,
	"said":       said,
	"slope":      slopeText,
	"percent":    percent,
	"share":      func(n, of int64) string { return percent(float64(n) / math.Max(1, float64(of))) },
	"words":      words,
	"clock":      clockTime,
	"short":      shortName,
	"plural":     plural,
	"comma":      units.Comma,
	"count":      func(v float64) string { return units.Comma(int64(v)) },
	"join":       strings.Join,
	"pos":        func(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) },
	"term":       termText,
	"errors":     crossCheck,
	"rate":       rate,
	"room":       room,
	"setting":    setting,
	"frame":      stackLine,
	"deeperFrom": func() int { return stackShown + 1 },
	"rss":        func(s string) string { return strings.ReplaceAll(s, "rss", "RSS") },
}).ParseFS(assets, "assets/*.html"))

// FirstPeak is the id, on the page, of the live memory at the peak of the first cell: for links from elsewhere.
const FirstPeak = "cell-1-peak"

// Style is the style sheet of the page, for pages that go with it.
func Style() string { return asset("page.css") }

func asset(name string) string {
	b, err := assets.ReadFile(path.Join("assets", name))
	if err != nil {
		panic(err) // embedded: it is there
	}
	return string(b)
}

// HTML writes the run's page to w: one self-contained document.
func HTML(ctx context.Context, w io.Writer, run *Run, opt Options) error {
	data, err := build(ctx, run, opt)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		return err
	}
	// The template escapes markup; what control characters a run may carry goes here, in one place.
	_, err = w.Write(bytes.Map(visible, b.Bytes()))
	return err
}

// shortName is a function without the folders of its package.
func shortName(fn string) string {
	// A type argument may hold a path of its own, so only what stands before the first bracket counts.
	head := fn
	if i := strings.IndexAny(fn, "[("); i >= 0 {
		head = fn[:i]
	}
	return Printable(fn[strings.LastIndexByte(head, '/')+1:])
}

// said is a finding's summary without the function and the place that it begins with: both stand above it.
func said(f record.Finding) string {
	for _, name := range []string{f.Site.Function, shortName(f.Site.Function)} {
		if rest, ok := strings.CutPrefix(f.Summary, name+" ("+place(f.Site)+") "); ok && name != "" {
			return strings.ToUpper(rest[:min(1, len(rest))]) + rest[min(1, len(rest)):]
		}
	}
	return f.Summary
}

// stackLine is a line of a stack, "function file:line", without type arguments and wrappers in the function's name.
func stackLine(s string) string {
	fn, where, ok := strings.Cut(s, " ")
	if strings.ContainsAny(fn, "[") { // type arguments may hold spaces
		if i := strings.LastIndexByte(s, ' '); i > 0 {
			fn, where, ok = s[:i], s[i+1:], true
		}
	}
	if !ok {
		return s
	}
	return blame.CleanName(fn) + " " + where
}

// termText says what a term of the model is multiplied with.
func termText(name string) string {
	known := map[string]string{
		"constant": "a constant", "workers": "× workers", "workers*part": "× workers × part size",
		"workers*largest": "× workers × largest file",
		"backlog":         "× backlog", "backlog-item": "× backlog items",
		"files": "× files done", "distinct": "× distinct files",
		"bytes-in-flight": "× bytes in flight", "connections": "× connections",
	}
	return cmp.Or(known[name], "× "+name)
}

// crossCheck is the spread of the errors of the cells predicted from the others.
func crossCheck(m *record.Model) string {
	if len(m.CrossCheck) == 0 {
		return ""
	}
	var worst float64
	for _, e := range m.CrossCheck {
		worst = max(worst, math.Abs(e))
	}
	return percent(worst) + " at most"
}

func rate(w record.Work) string {
	if w.Seconds <= 0 {
		return ""
	}
	return units.CommaFloat(float64(w.Files)/w.Seconds, 1)
}
