package gate

import (
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Marker begins the Markdown comment, so that a bot finds its own comment again and replaces it.
const Marker = "<!-- memsoak-gate -->"

// WriteText writes the table for a terminal: failures first, then inconclusive checks, then a count of the rest.
func (r *Report) WriteText(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, want := range []Outcome{Fail, Inconclusive} {
		for _, x := range r.Results {
			if x.Outcome != want {
				continue
			}
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", want, x.Cell, x.Check, x.why())
			if s := x.Site(); s != nil {
				fmt.Fprintf(tw, "\t\t\t%s (%s:%d)\n", s.Function, s.File, s.Line)
			}
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, x := range r.Improvements {
		fmt.Fprintf(w, "better  %s  %s: %s\n", x.Cell, x.Check, x.Detail)
	}
	if len(r.Improvements) > 0 && !slices.ContainsFunc(r.Results, Result.worse) {
		fmt.Fprintln(w, "keep it: soak baseline accept RUN")
	}
	for _, m := range r.notes() {
		fmt.Fprintln(w, m)
	}
	n := r.count()
	_, err := fmt.Fprintf(w, "gate: %s (%d passed, %d failed, %d inconclusive)\n", r.Outcome, n[Pass], n[Fail],
		n[Inconclusive])
	return err
}

// notes are the warnings and the self-check, a line each.
func (r *Report) notes() []string {
	var out []string
	for _, m := range r.Warnings {
		out = append(out, "warning: "+m)
	}
	if r.SelfCheck != nil {
		out = append(out, r.SelfCheck.lines()...)
	}
	return out
}

func (r *Report) count() (n [3]int) {
	for _, x := range r.Results {
		n[x.Outcome]++
	}
	return n
}

// why is what a person needs beside the check's name. The quantity is named once: by the check where it begins
// with the quantity.
func (r Result) why() string {
	var parts []string
	for _, m := range r.Measured {
		name, value, ok := strings.Cut(m, " = ")
		if ok && (r.Check == name || strings.HasPrefix(r.Check, name+" ")) {
			m = "is " + value
		}
		parts = append(parts, strings.TrimPrefix(m, r.Check+": "))
	}
	if r.Detail != "" {
		parts = append(parts, r.Detail)
	}
	return printable(strings.Join(parts, "; "))
}

// line is the check with its measurement.
func (r Result) line() string {
	why := r.why()
	switch {
	case why == "":
		return r.Check
	case strings.HasPrefix(why, "is "):
		return r.Check + ", " + why
	}
	return r.Check + ": " + why
}

// printable is text without control characters: reasons and logs come from the subject.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text)
}

type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes one test case per cell and check. Inconclusive is an error there, never a pass or a skip.
func (r *Report) WriteJUnit(w io.Writer) error {
	n := r.count()
	suite := junitSuite{Name: r.Subject, Tests: len(r.Results), Failures: n[Fail], Errors: n[Inconclusive]}
	for _, x := range r.Results {
		c := junitCase{Class: r.Subject + "." + x.Cell.String(), Name: x.Check, Out: strings.Join(x.Measured, "\n")}
		switch x.Outcome {
		case Fail:
			c.Failure = &junitMessage{Message: x.why(), Text: x.Sentence()}
			if s := x.Site(); s != nil {
				c.File, c.Line = s.File, s.Line
			}
		case Inconclusive:
			c.Error = &junitMessage{Message: "inconclusive: " + x.Detail, Text: x.Sentence()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", " ")
	return e.Encode(junitSuites{Name: "memsoak gate", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors,
		Suite: suite})
}

// WriteAnnotations writes GitHub workflow commands: an error at the culprit's line for each cause, a warning for what
// is inconclusive.
func (r *Report) WriteAnnotations(w io.Writer) error {
	for _, c := range r.causes() {
		where := ""
		if c.site != nil {
			where = fmt.Sprintf("file=%s,line=%d,", property(filepath.ToSlash(c.site.File)), max(1, c.site.Line))
		}
		if _, err := fmt.Fprintf(w, "::error %stitle=%s::%s\n", where, property("memsoak: "+c.rule),
			message(c.text())); err != nil {
			return err
		}
	}
	for _, x := range r.Results {
		if x.Outcome != Inconclusive {
			continue
		}
		text := message(x.Cell.String() + ": " + x.line())
		if _, err := fmt.Fprintf(w, "::warning title=%s::%s\n", property("memsoak: inconclusive"), text); err != nil {
			return err
		}
	}
	return nil
}

// Escapes of workflow commands: https://docs.github.com/actions/reference/workflow-commands-for-github-actions
var (
	message  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace
	property = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace
)

// WriteMarkdown writes a job summary that is also the sticky comment.
func (r *Report) WriteMarkdown(w io.Writer) error {
	n := r.count()
	icon := [...]string{"⚪ inconclusive", "✅ passed", "❌ failed"}[r.Outcome]
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Memory gate: %s\n\n`%s`, run `%s`: %d passed, %d failed, %d inconclusive.\n", Marker, icon,
		r.Subject, r.RunID, n[Pass], n[Fail], n[Inconclusive])
	if n[Fail]+n[Inconclusive] > 0 {
		b.WriteString("\n| | cell | check | measured | where |\n|---|---|---|---|---|\n")
		for _, want := range []Outcome{Fail, Inconclusive} {
			for _, x := range r.Results {
				if x.Outcome != want {
					continue
				}
				where := ""
				if s := x.Site(); s != nil {
					where = fmt.Sprintf("`%s` %s:%d", s.Function, path.Base(filepath.ToSlash(s.File)), s.Line)
				}
				fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s |\n", want, cellText(x.Cell.String()), cellText(x.Check),
					cellText(x.why()), cellText(where))
			}
		}
	}
	for _, x := range r.Improvements {
		fmt.Fprintf(&b, "\n- better: %s, `%s`: %s", cellText(x.Cell.String()), x.Check, cellText(x.Detail))
	}
	for _, m := range r.notes() {
		fmt.Fprintf(&b, "\n- %s", cellText(m))
	}
	_, err := io.WriteString(w, b.String()+"\n")
	return err
}

// cellText keeps text from ending a table's cell or beginning markup.
var cellText = strings.NewReplacer("|", "\\|", "\n", " ", "<", "&lt;", ">", "&gt;").Replace

// benchUnits names the quantities of the benchmark format.
var benchUnits = map[string]string{
	"peak": "peak-bytes", "peak_rss": "peak-RSS-bytes", "peak_cgroup": "peak-cgroup-bytes", "held_live": "held-live-bytes",
	"floor_live":          "floor-bytes",
	"leak_bytes_per_file": "leaked-B/file", "bytes_per_worker": "B/worker", "files_per_second": "files/sec",
	"bytes_per_second": "B/sec",
}

// WriteBench writes a run in the Go benchmark format, one line per trial, for benchstat.
// Format: https://go.dev/design/14313-benchmark-format
func WriteBench(w io.Writer, r *Run) error {
	var b strings.Builder
	for _, c := range r.Cells {
		for _, t := range c.Trials {
			q := Measure(CellData{Cell: c.Cell, Trials: []TrialData{t}})
			line := fmt.Sprintf("Benchmark%s %d", benchName(r.Run.Subject, c), max(1, t.Trial.Work.Files))
			any := false
			for _, n := range Names() {
				if u, ok := benchUnits[n[0]]; ok {
					if v, measured := q.Get(n[0]); measured {
						line, any = line+fmt.Sprintf(" %v %s", v, u), true
					}
				}
			}
			if any {
				b.WriteString(line + "\n")
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	h := r.Run.Host
	for _, kv := range [][2]string{{"goos", h.OS}, {"goarch", h.Arch}, {"cpu", h.CPUModel}, {"subject", r.Run.Subject}} {
		if kv[1] != "" {
			fmt.Fprintf(w, "%s: %s\n", kv[0], kv[1])
		}
	}
	_, err := io.WriteString(w, "\n"+b.String())
	return err
}

func benchName(subject string, c CellData) string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == ' ' || r == '/' || r == '\t' {
				return '_'
			}
			return r
		}, s)
	}
	name := strings.ToUpper(subject[:min(1, len(subject))]) + clean(subject[min(1, len(subject)):])
	for _, part := range strings.Fields(c.Cell.String()) {
		name += "/" + clean(part)
	}
	return name
}
