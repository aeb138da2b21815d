// Command bench prints the migrator's figures: speed as ratios to a bare pipe and to rclone on the same fakes over
// TLS, interleaved, as medians; and memory. It starts the fakes and every client as processes of their own.
//
//	go run ./migrator/internal/bench [-quick] [-only large,small,cgroup,list,ten-million,http2,queues] [-rounds 3]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/memsoak/memsoak/migrator/internal/rig"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "list" {
		os.Exit(listMain(os.Args[2:]))
	}
	quick := flag.Bool("quick", false, "smaller trees and one round: checks the program more than the figures")
	only := flag.String("only", "", "comma-separated cases; all by default")
	rounds := flag.Int("rounds", 3, "interleaved rounds of which the median counts")
	rclone := flag.String("rclone", ".tools/rclone", "path of rclone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *quick {
		*rounds = 1
	}
	b := &bench{ctx: ctx, quick: *quick, rounds: *rounds, rclone: *rclone}
	err := b.run(*only)
	b.print()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run of all cases.
type bench struct {
	ctx    context.Context
	quick  bool
	rounds int
	rclone string

	dir         string
	bins        rig.Binaries
	pipe        string
	self        string
	drive, sink *rig.Fake
	ca          string
	n           int // runs so far: prefixes and generations are fresh each time
	rows        []row
}

// row is one figure.
type row struct{ what, asked, measured, verdict string }

const bucket = "bench-bucket"

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
	cases := []struct {
		name string
		run  func() error
	}{{"large", b.large}, {"small", b.small}, {"cgroup", b.cgroup}, {"list", b.list}, {"ten-million", b.tenMillion},
		{"http2", b.http2}, {"queues", b.queues}}
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

// start builds what is measured and starts the fakes.
func (b *bench) start() (err error) {
	if b.bins, err = rig.Build(b.ctx, b.dir); err != nil {
		return err
	}
	b.pipe = filepath.Join(b.dir, "pipe")
	if out, err := exec.CommandContext(b.ctx, "go", "build", "-o", b.pipe,
		"github.com/memsoak/memsoak/migrator/internal/bench/pipe").CombinedOutput(); err != nil {
		return fmt.Errorf("build the pipe: %w\n%s", err, out)
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

// add records a figure; ok decides the last column.
func (b *bench) add(what, asked, measured string, ok bool) {
	r := row{what, asked, measured, "ok"}
	if !ok {
		r.verdict = "MISSED"
	}
	b.rows = append(b.rows, r)
	fmt.Fprintf(os.Stderr, "%s: asked %s, measured %s: %s\n", r.what, r.asked, r.measured, r.verdict)
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
