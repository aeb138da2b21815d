// Command house counts how large and how tidy the repository is, over all its modules and by one rule, and prints each
// figure beside the one that is asked for.
//
//	go run ./internal/house [-strict]
//
// The rule: a line is a line of a .go file, blank lines and comments included, generated files included. A test is a
// file that ends in _test.go; helpers of tests that are packages count as product. Folders named testdata don't count.
// With -strict a missed figure makes the exit code 99.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/internal/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fl := flag.NewFlagSet("house", flag.ContinueOnError)
	fl.SetOutput(stderr)
	strict := fl.Bool("strict", false, "exit with 99 when a figure is missed")
	if err := fl.Parse(args); err != nil || fl.NArg() > 0 {
		return exitcode.UsageError
	}
	missed, err := house(context.Background(), stdout)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "house:", err)
		return exitcode.Error
	case *strict && missed > 0:
		return exitcode.GateFailed
	}
	return exitcode.OK
}

// house counts and prints, and returns how many figures are missed.
func house(ctx context.Context, out io.Writer) (missed int, err error) {
	root, err := checkout.Root(ctx)
	if err != nil {
		return 0, err
	}
	files, err := checkout.Files(ctx, root)
	if err != nil {
		return 0, err
	}
	c, err := countAll(root, files)
	if err != nil {
		return 0, err
	}
	built, err := build(ctx, root, "./soak/cmd/soak")
	if err != nil {
		return 0, err
	}
	return show(out, c.figures(built))
}

// figure is one row: its name, its value and its goal.
type figure struct {
	name     string
	measured float64
	ask      bound
	digits   int
	// notes name what the figure is made of.
	notes []string
}

// bound is the goal of a figure: at most, or at least. Its zero value asks for nothing.
type bound struct {
	kind  boundKind
	value float64
}

type boundKind int

const (
	asksNothing boundKind = iota
	atMost
	atLeast
)

func (b bound) met(v float64) bool {
	switch b.kind {
	case atMost:
		return v <= b.value
	case atLeast:
		return v >= b.value
	}
	return true
}

func (b bound) text(digits int) string {
	switch b.kind {
	case atMost:
		return fmt.Sprintf("<= %.*f", digits, b.value)
	case atLeast:
		return fmt.Sprintf(">= %.*f", digits, b.value)
	}
	return "-"
}

// show prints the rows, then the notes, and returns how many rows are missed.
func show(out io.Writer, rows []figure) (missed int, err error) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tmeasured\tasked\t")
	for _, f := range rows {
		verdict := "met"
		switch {
		case f.ask.kind == asksNothing:
			verdict = ""
		case !f.ask.met(f.measured):
			verdict = "missed"
			missed++
		}
		fmt.Fprintf(w, "%s\t%.*f\t%s\t%s\n", f.name, f.digits, f.measured, f.ask.text(f.digits), verdict)
	}
	if err := w.Flush(); err != nil {
		return missed, err
	}
	for _, f := range rows {
		if len(f.notes) == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s:\n", f.name)
		for _, n := range f.notes {
			fmt.Fprintln(out, "  "+n)
		}
	}
	return missed, nil
}
