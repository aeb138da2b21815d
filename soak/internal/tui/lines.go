package tui

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// JSON returns a sink that writes each event as a line {"event": name, "time": ..., ...}.
func JSON(w io.Writer) func(soak.Event) {
	var mu sync.Mutex
	return func(e soak.Event) {
		b, err := json.Marshal(e)
		if err != nil {
			return
		}
		head := fmt.Sprintf(`{"event":%q,"time":%q`, e.EventName(), time.Now().UTC().Format(time.RFC3339Nano))
		if len(b) > 2 {
			head += ","
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s%s\n", head, b[1:])
	}
}

// Lines returns a sink that writes a line per trial begun and ended, and with verbose one per phase.
func Lines(w io.Writer, verbose bool) func(soak.Event) {
	var mu sync.Mutex
	var begun time.Time
	running, ended, kept := 0, 0, 0
	return func(e soak.Event) {
		mu.Lock()
		defer mu.Unlock()
		switch e := e.(type) {
		case soak.RunStarted:
			begun, kept = time.Now(), e.Done
			plan(w, e)
		case soak.TrialStarted:
			running++
			fmt.Fprintf(w, "[%d/%d] %s  %s ...\n", e.N, e.Of, e.Cell, e.Kind)
		case soak.PhaseChanged:
			if verbose && !e.Phase.End.IsZero() {
				fmt.Fprintf(w, "        %-18s %6.2fs\n", e.Phase.Name, e.Phase.End.Sub(e.Phase.Start).Seconds())
			}
		case soak.TrialEnded:
			which := "      "
			if running > 1 { // others run beside it
				which = fmt.Sprintf("[%d/%d] %s ", e.N, e.Of, e.Cell)
			}
			running, ended = running-1, ended+1
			fmt.Fprintln(w, which+" "+oneLine(e)+remaining(e.Of-kept-ended, ended, begun))
		case soak.Warned:
			fmt.Fprintln(w, "warning:", e.Text)
		}
	}
}

// plan writes what a run is about to do.
func plan(w io.Writer, e soak.RunStarted) {
	limit := "none"
	if e.Limit > 0 {
		limit = units.FormatBytes(e.Limit)
	}
	corpus := ""
	if e.Corpus != "" {
		corpus = "corpus " + e.Corpus + ", "
	}
	fmt.Fprintf(w, "%s: %s, %s, %s design, protocol %s, %slimit %s (%s), %s or more\n",
		e.Subject, units.Count(e.Cells, "cell"), units.Count(e.Trials, "trial"), e.Design, e.Protocol, corpus, limit,
		e.Isolated, e.Estimate.Round(time.Second))
	for i, c := range e.Plan.Cells {
		fmt.Fprintf(w, "  %3d. %s\n", i+1, c)
	}
	if len(e.Lanes) > 0 {
		fmt.Fprintf(w, "%d attribution trials run beside each other, on processors %s\n", len(e.Lanes),
			strings.Join(e.Lanes, " and "))
	}
	if e.Done > 0 {
		fmt.Fprintf(w, "%s done already\n", units.CountIs(e.Done, "trial"))
	}
	fmt.Fprintf(w, "recording into %s\n", e.Dir)
}

// oneLine is a finished trial in one line: outcome, peak, what it did, headline.
func oneLine(e soak.TrialEnded) string {
	outcome := string(e.Outcome)
	if outcome == "" {
		outcome = "cut short"
	}
	s := fmt.Sprintf("%s in %.1fs, peak %s", outcome, e.Seconds, e.Peak)
	if n := e.Peak.Above(); n > 0 {
		s += fmt.Sprintf(" (kernel's own %s)", units.FormatBytes(n))
	}
	if e.Kind == record.Speed && e.Work.Seconds > 0 {
		s += fmt.Sprintf(", %.0f files/s, %s/s", float64(e.Work.Files)/e.Work.Seconds,
			units.FormatBytes(int64(float64(e.Work.Bytes)/e.Work.Seconds)))
	}
	if e.Headline != "" && e.Kind != record.Speed {
		s += ": " + string(e.Headline)
	}
	if e.Summary != "" && e.Kind != record.Speed {
		s += " (" + e.Summary + ")"
	}
	if e.Outcome != record.OK && e.Reason != "" {
		s += "; " + e.Reason
	}
	return s
}

// remaining says how long the rest of the trials will take at the pace of those that ended since the run began.
func remaining(rest, ended int, begun time.Time) string {
	if rest <= 0 || begun.IsZero() {
		return ""
	}
	left := time.Since(begun) / time.Duration(ended) * time.Duration(rest)
	return fmt.Sprintf("  [%s left]", left.Round(time.Second))
}
