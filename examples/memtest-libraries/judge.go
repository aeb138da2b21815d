package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// result is what memtest said about one version.
type result struct {
	Seconds  float64
	Ops      int
	Errors   []string
	Findings []finding
	Failed   string `json:",omitempty"` // why there is no report
}

type finding struct {
	Kind, Site, File string
	Line             int
}

// row is one library, judged.
type row struct {
	Name, Module, Versions, Class string
	Known                         string `json:",omitempty"` // the leak in a few words
	Leaking, Mended               result

	Found   bool // an alarm where the library leaks, none where it doesn't
	One     bool // one finding for the one leak
	Kind    bool // of the right class
	Line    bool // with the user's own line
	NoAlarm bool // on the mended version
	Judged  bool // both versions could be built and run
}

// judge compares memtest's answer with the known one. want is the number of the user's line.
func judge(c libraryCase, want int, leaking, mended result) row {
	r := row{
		Name: c.name, Module: c.module, Versions: c.leaking + " -> " + c.mended, Class: string(c.class), Known: c.known,
		Leaking: leaking, Mended: mended,
	}
	r.Judged = leaking.Failed == "" && mended.Failed == ""
	if !r.Judged {
		return r
	}
	r.NoAlarm = len(mended.Errors) == 0
	if !c.class.leaks() {
		r.Found = len(leaking.Errors) == 0
		r.One, r.Kind, r.Line = r.Found, r.Found, r.Found
		return r
	}
	r.Found = len(leaking.Findings) > 0
	r.One = len(leaking.Findings) == 1
	if r.Found {
		f := leaking.Findings[0]
		r.Kind = f.Kind == string(c.class)
		r.Line = f.File == caseFile && f.Line == want
	}
	return r
}

// sum counts rows.
type sum struct {
	rows, judged, found, one, kind, line, noAlarm int
	median                                        float64
}

func totals(rows []row) sum {
	s := sum{rows: len(rows)}
	var seconds []float64
	add := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	for _, r := range rows {
		add(&s.judged, r.Judged)
		add(&s.found, r.Found)
		add(&s.one, r.One)
		add(&s.kind, r.Kind)
		add(&s.line, r.Line)
		add(&s.noAlarm, r.NoAlarm)
		if r.Judged {
			seconds = append(seconds, r.Leaking.Seconds, r.Mended.Seconds)
		}
	}
	slices.Sort(seconds)
	if len(seconds) > 0 {
		s.median = seconds[len(seconds)/2]
	}
	return s
}

// medianAsked is the most that the median check may take, in seconds.
const medianAsked = 10

func (s sum) exit() int {
	if s.judged < s.rows {
		return exitInconclusive
	}
	if min(s.found, s.one, s.kind, s.line, s.noAlarm) < s.rows || s.median > medianAsked {
		return exitFailed
	}
	return exitOK
}

func printTable(w io.Writer, rows []row) {
	mark := func(r row, yes bool) string {
		switch {
		case !r.Judged:
			return "?"
		case yes:
			return "yes"
		}
		return "NO"
	}
	const format = "| %-14s | %-57s | %-23s | %-5s | %-3s | %-5s | %-4s | %-8s | %-11s |\n"
	fmt.Fprintf(w, format, "library", "versions", "class", "found", "one", "class", "line", "no alarm", "seconds")
	for _, width := range []int{16, 59, 25, 7, 5, 7, 6, 10, 13} {
		fmt.Fprint(w, "|", strings.Repeat("-", width))
	}
	fmt.Fprintln(w, "|")
	for _, r := range rows {
		fmt.Fprintf(w, format, r.Name, r.Module+" "+r.Versions, r.Class, mark(r, r.Found), mark(r, r.One),
			mark(r, r.Kind), mark(r, r.Line), mark(r, r.NoAlarm),
			fmt.Sprintf("%.1f, %.1f", r.Leaking.Seconds, r.Mended.Seconds))
	}
	s := totals(rows)
	fmt.Fprintf(w, "\n%d libraries (asked for: 12 or more), %d could be judged\n", s.rows, s.judged)
	for _, l := range []struct {
		what string
		n    int
	}{
		{"leak found (no alarm where there is none)", s.found}, {"one finding for one leak", s.one},
		{"class right", s.kind}, {"user's own line right", s.line}, {"no alarm on the mended version", s.noAlarm},
	} {
		fmt.Fprintf(w, "%-42s %d of %d (asked for: all)\n", l.what, l.n, s.rows)
	}
	fmt.Fprintf(w, "%-42s %.1f s (asked for: %d or less)\n", "median of a check", s.median, medianAsked)
	for _, r := range rows {
		for _, v := range []result{r.Leaking, r.Mended} {
			if v.Failed != "" {
				fmt.Fprintf(w, "not judged: %s: %s\n", r.Name, v.Failed)
			}
		}
	}
}
