// Command bench prints the migrator's figures: processor time and speed as ratios to a bare pipe, to a pipe by the same
// SDKs and to rclone on the same fakes over TLS, as medians of interleaved pairs with the interval that each lies in;
// and memory. It starts the fakes and every client as processes of their own.
//
//	go run ./migrator/internal/bench [-quick] [-guard] [-only large,...,rabbitmq]
//	go run ./migrator/internal/bench -only scale [-scale 10]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/figure"
	"github.com/memsoak/memsoak/migrator/internal/rig"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "list" {
		os.Exit(listMain(os.Args[2:]))
	}
	quick := flag.Bool("quick", false, "smaller trees and one round: checks the program more than the figures")
	only := flag.String("only", "", "comma-separated cases; all by default")
	guard := flag.Bool("guard", false, "ratios of processor time alone, on smaller trees; exit with 99 when one is missed")
	pairs := flag.Int("rounds", 6, "interleaved rounds of the copies; fewer than 6 leave their intervals open")
	rclone := flag.String("rclone", ".tools/rclone", "path of rclone")
	history := flag.String("history", "bench/history.json", "file of earlier figures to compare with")
	record := flag.Bool("record", false, "add the figures to that file")
	scaleBy := flag.Int64("scale", 1, "what case scale divides its millions by")
	scaleDir := flag.String("scale-dir", "soak-results/scale", "where case scale keeps the figures of parts that are done")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := &bench{ctx: ctx, quick: *quick || *guard, guard: *guard, pairs: *pairs, rounds: 3, rclone: *rclone,
		scaleBy: *scaleBy, scaleDir: *scaleDir}
	if b.quick {
		b.rounds = 1
	}
	if b.guard && *only == "" {
		*only = "large,small"
	}
	err := b.run(*only)
	b.print()
	if err = errors.Join(err, b.changes(*history, *record)); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitcode.Error)
	}
	if b.guard && b.missed {
		os.Exit(exitcode.GateFailed)
	}
}

// bench is one run of all cases.
type bench struct {
	ctx    context.Context
	quick  bool
	guard  bool
	pairs  int // rounds of the figures judged by intervals
	rounds int // of the queues
	rclone string

	scaleBy  int64
	scaleDir string

	dir         string
	bins        rig.Binaries
	self        string
	drive, sink *rig.Fake
	ca          string
	n           int // runs so far: prefixes and generations are fresh each time
	rows        []row
	missed      bool
	figures     []figure.Ratio
}

// row is one figure.
type row struct{ what, asked, measured, verdict string }

const bucket = "bench-bucket"

// benchCase is one of the cases of -only.
type benchCase struct {
	name string
	run  func() error
}

func (b *bench) run(only string) (err error) {
	if b.dir, err = os.MkdirTemp("", "migrator-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.start(); err != nil {
		return err
	}
	defer b.drive.Stop()
	defer b.sink.Stop()
	cases := []benchCase{{"large", b.large}, {"small", b.small}, {"cgroup", b.cgroup}, {"memory", b.memory},
		{"list", b.list}, {"ten-million", b.tenMillion},
		{"http2", b.http2}, {"redis", b.onRedis}, {"rabbitmq", b.onRabbit}}
	if only == "scale" { // hours, so only where it is asked for
		cases = []benchCase{{"scale", b.scale}}
	}
	for _, c := range cases {
		if only != "" && !slices.Contains(strings.Split(only, ","), c.name) {
			continue
		}
		if err := c.run(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// start builds the programs to measure and starts the fakes.
func (b *bench) start() (err error) {
	if b.bins, err = rig.Build(b.ctx, b.dir); err != nil {
		return err
	}
	if out, err := exec.CommandContext(b.ctx, "go", "build", "-o", b.dir+string(filepath.Separator),
		"github.com/memsoak/memsoak/migrator/internal/bench/pipe/...").CombinedOutput(); err != nil {
		return fmt.Errorf("build the pipes: %w\n%s", err, out)
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.drive, err = rig.Drive(b.dir, b.bins.Fakedrive, "--h2"); err != nil {
		return err
	}
	if b.sink, err = rig.Sink(b.dir, b.bins.Soak, bucket); err != nil {
		return err
	}
	var pem []byte
	for _, f := range []*rig.Fake{b.drive, b.sink} {
		one, err := os.ReadFile(f.CAFile)
		if err != nil {
			return err
		}
		pem = append(pem, one...)
	}
	b.ca = filepath.Join(b.dir, "ca.pem")
	return os.WriteFile(b.ca, pem, 0o600)
}

// add records a figure that is exact enough to be judged as it is.
func (b *bench) add(what, asked, measured string, ok bool) {
	v := figure.Missed
	if ok {
		v = figure.Met
	}
	b.judge(what, asked, measured, v)
}

// judge records a figure beside the figure asked for, with the verdict.
func (b *bench) judge(what, asked, measured string, v figure.Verdict) {
	b.rows = append(b.rows, row{what, asked, measured, v.String()})
	b.missed = b.missed || v == figure.Missed
	fmt.Fprintf(os.Stderr, "%s: asked %s, measured %s: %s\n", what, asked, measured, v)
}

// skip records a figure that couldn't be measured here.
func (b *bench) skip(what, asked, why string) {
	b.rows = append(b.rows, row{what, asked, "not measured: " + why, "-"})
}

// note records a figure that nothing was asked of.
func (b *bench) note(what, measured string) {
	b.rows = append(b.rows, row{what, "-", measured, ""})
	fmt.Fprintf(os.Stderr, "%s: %s\n", what, measured)
}

func (b *bench) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tASKED\tMEASURED\t")
	for _, r := range b.rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.what, r.asked, r.measured, r.verdict)
	}
	w.Flush()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}
