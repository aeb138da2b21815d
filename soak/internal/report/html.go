package report

import (
	"context"
	"html/template"
	"io"
)

// Options change what the page offers beyond the recorded facts.
type Options struct{}

var page = template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>{{.Record.Subject}}</title>
<h1>{{.Record.Subject}} on {{.Record.Corpus}}</h1>{{with .Verdict}}{{range .Answer}}<p>{{.}}</p>{{end}}{{end}}
<table>{{range .Cells}}<tr><td>{{.Cell}}<td>{{.Outcome}}<td>{{.Peak.RSS}}{{end}}</table>{{range .Problems}}<p>{{.}}</p>{{end}}</html>`))

// HTML writes the run's page to w.
func HTML(_ context.Context, w io.Writer, run *Run, _ Options) error { return page.Execute(w, run) }
