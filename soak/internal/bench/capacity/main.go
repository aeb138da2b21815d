// Command capacity holds the answers of soak plan and soak limit against real kills: subjects that hold memory in each
// of the known ways, each below three limits. `make capacity` calls it. Measurements are kept below -out
// and not measured again; -only selects subjects by pattern.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"strings"
	"syscall"

	"github.com/memsoak/memsoak/internal/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fs := flag.NewFlagSet("capacity", flag.ContinueOnError)
	fs.SetOutput(stderr)
	b := &bench{say: stdout}
	fs.StringVar(&b.bin, "bin", "bin", "folder of soak, fakedrive and the subjects")
	fs.StringVar(&b.out, "out", "soak-results/capacity", "where trials and scores are kept")
	only := fs.String("only", "", "patterns of subjects, separated by spaces; empty: all")
	fs.BoolVar(&b.recorded, "recorded", false, "run nothing: print the figures of what is kept")
	if err := fs.Parse(args); err != nil {
		return exitcode.UsageError
	}
	chosen, err := choose(strings.Fields(*only))
	if err != nil {
		fmt.Fprintln(stderr, "capacity:", err)
		return exitcode.UsageError
	}
	scores, err := b.all(ctx, chosen)
	missed := printFigures(stdout, scores)
	switch {
	case err != nil:
		fmt.Fprintln(stderr, "capacity:", err)
		return exitcode.Of(err)
	case missed > 0:
		return exitcode.GateFailed
	}
	return exitcode.OK
}

// choose keeps the questions whose subject matches one of the patterns of path.Match; no pattern keeps all.
func choose(patterns []string) ([]question, error) {
	questions, err := allQuestions()
	if err != nil {
		return nil, err
	}
	var out []question
	for _, q := range questions {
		matches := len(patterns) == 0
		for _, p := range patterns {
			ok, err := path.Match(p, q.name)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
			matches = matches || ok
		}
		if matches {
			out = append(out, q)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no subject matches; see soak/internal/bench/capacity/questions.yaml")
	}
	return out, nil
}
