// Command demo shows what memsoak is for, in a minute: the service of the history and the migrator, one worker each,
// the same files below the same limit. What it prints is read from the two recordings.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/replay/study"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The demo's settings: as a replay has them, but that copies are ended sooner.
const (
	out    = "soak-results/demo"
	scale  = 16
	free   = 6 * time.Second
	dies   = 10 * time.Second
	budget = 3 * time.Minute
)

// rows are the two subjects, as the study names them.
var rows = []string{"v2.4.1-single-worker", "migrator, 1 worker, 2Gi scaled"}

// errNothing is the error of a demo in which a subject was not measured.
var errNothing = errors.New("a subject was not measured")

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		fmt.Fprintln(stderr, "demo: it takes no arguments; `make demo` runs it")
		return exitcode.UsageError
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	begun := time.Now()
	b := study.Bench{Out: out, Scale: scale, Free: free, Dies: dies, Budget: budget, Repeats: 1, Seed: 1,
		Warn: func(text string) { fmt.Fprintln(stderr, "warning:", text) }}
	res, err := b.Run(ctx, study.Selection{Rows: rows, Corpora: []string{study.Decisive}, Matrix: true},
		func(p study.Progress) {
			fmt.Fprintf(stderr, "[%d/%d] %s\n", p.N, p.Of, p.Name)
		})
	if err == nil && len(res.Cells) != len(rows) {
		err = errNothing
	}
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return exitcode.Error
	}
	show(stdout, res, time.Since(begun))
	if res.Cells[0].Headline == record.Inconclusive || res.Cells[0].Culprit == nil {
		return exitcode.Inconclusive
	}
	return exitcode.OK
}

// titles are what a newcomer reads instead of the rows' names.
var titles = []string{"the service that was killed", "the migrator"}

// show prints the result in ten lines at most.
func show(w io.Writer, res *study.Result, took time.Duration) {
	c := res.Cells[0]
	fmt.Fprintf(w, "One worker each, the same %d files of 1 KiB, a limit of %s:\n", c.Of, units.FormatBytes(c.Limit))
	for i, c := range res.Cells {
		fmt.Fprintf(w, "\n%s: %s\n  %s, peak %s\n", titles[i], c.Headline, c.OutcomeText(), units.FormatBytes(c.Peak))
		if s := c.Culprit; s != nil && s.Bytes >= c.Peak/20 { // less than that explains nothing
			fmt.Fprintf(w, "  held the most: %s (%s%s)\n", s.Line(), s.Class, size(s, c.Peak))
		}
	}
	fmt.Fprintf(w, "\n%s; reports and flame graphs: make view RUN=%s\n", took.Round(time.Second), out)
}

// size says what the culprit grows with, and what it came to. What all of the work would take can be more than there
// was room for.
func size(s *study.Share, peak int64) string {
	bytes := units.FormatBytes(s.Bytes)
	if s.Slope == nil {
		return ", " + bytes
	}
	per := fmt.Sprintf(", %s per %s", units.FormatBytes(int64(s.Slope.Bytes)), strings.ReplaceAll(s.Slope.Per, "-", " "))
	if s.Bytes > peak {
		return per + ": it would have taken " + bytes
	}
	return per + ": " + bytes
}
