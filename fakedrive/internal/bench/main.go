// Command bench prints what fakedrive costs, each figure beside the one asked for. Speeds are ratios to a bare
// net/http handler, or to encoding/json, that does the same work in the same minute: rounds of both alternate, and
// the median of the rounds' ratios counts. It isn't for comparing machines.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// figure is one line of the result.
type figure struct {
	Name     string  `json:"name"`
	Asked    string  `json:"asked"`
	Measured string  `json:"measured"`
	Value    float64 `json:"value"`
	OK       bool    `json:"ok"`
}

// options are the command line's.
type options struct {
	binary string // of fakedrive
	rounds int
	only   string
	json   bool
}

// measurement is one way to get figures.
type measurement struct {
	name string
	run  func(context.Context, options) ([]figure, error)
}

// measurements in the order of the output. Each is independent of the others.
var measurements = []measurement{
	{"media", media},
	{"pages", pages},
	{"start", startUps},
	{"memory", memory},
	{"million", million},
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(args) > 0 && args[0] == "bare" {
		if err := serveBare(ctx, stdout); err != nil {
			fmt.Fprintln(stderr, "bench bare:", err)
			return 1
		}
		return 0
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.binary, "fakedrive", "bin/fakedrive", "the binary to measure")
	flags.IntVar(&o.rounds, "rounds", 9, "rounds of each comparison")
	flags.StringVar(&o.only, "only", "", "comma-separated measurements: media, pages, start, memory, million")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if err := o.check(); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	figures, err := measure(ctx, o)
	if err == nil {
		err = show(stdout, figures, o.json)
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

func (o options) check() error {
	if o.rounds < 1 {
		return fmt.Errorf("-rounds: want 1 or more, have %d", o.rounds)
	}
	for _, name := range o.names() {
		if !slices.ContainsFunc(measurements, func(m measurement) bool { return m.name == name }) {
			return fmt.Errorf("-only: there is no measurement %q", name)
		}
	}
	return nil
}

func (o options) names() []string {
	if o.only == "" {
		return nil
	}
	return strings.Split(o.only, ",")
}

func measure(ctx context.Context, o options) ([]figure, error) {
	var all []figure
	for _, m := range measurements {
		if o.only != "" && !slices.Contains(o.names(), m.name) {
			continue
		}
		figures, err := m.run(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		all = append(all, figures...)
	}
	return all, nil
}

// show prints the figures; a figure that is missed is an error.
func show(w io.Writer, figures []figure, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(figures); err != nil {
			return err
		}
	} else {
		tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tab, "FIGURE\tASKED\tMEASURED\t")
		for _, f := range figures {
			verdict := "ok"
			if !f.OK {
				verdict = "MISSED"
			}
			fmt.Fprintf(tab, "%s\t%s\t%s\t%s\n", f.Name, f.Asked, f.Measured, verdict)
		}
		if err := tab.Flush(); err != nil {
			return err
		}
	}
	missed := 0
	for _, f := range figures {
		if !f.OK {
			missed++
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d figures are missed", missed, len(figures))
	}
	return nil
}

// atLeast is a figure with a lower bound.
func atLeast(name string, bound, value float64, detail string) figure {
	return figure{name, fmt.Sprintf(">= %.2fx", bound), fmt.Sprintf("%.2fx (%s)", value, detail), value, value >= bound}
}
