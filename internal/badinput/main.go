// Command badinput gives the three programs generated inputs that are all wrong - flags out of range, malformed files,
// wrong folders, damaged recordings - and counts what must not come of them. It prints each figure beside the one that
// is asked for, and exits with 1 where one is missed. The same seed makes the same inputs.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/internal/foreign"
)

// hangs is the time after which a program that was given a wrong input hangs.
const hangs = 10 * time.Second

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("badinput", flag.ContinueOnError)
	fs.SetOutput(stderr)
	n := fs.Int("n", 2000, "inputs")
	seed := fs.Uint64("seed", 1, "seed of the inputs")
	parallel := fs.Int("parallel", 2, "inputs at a time")
	bin := fs.String("bin", "bin", "folder of the programs")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	missed, err := try(*bin, *n, *parallel, *seed, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "badinput:", err)
		return 1
	}
	if missed {
		return 1
	}
	return 0
}

// try gives the programs n inputs.
func try(bin string, n, parallel int, seed uint64, out io.Writer) (missed bool, err error) {
	dir, err := os.MkdirTemp("", "memsoak-badinput-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	if bin, err = filepath.Abs(bin); err != nil {
		return false, err
	}
	g, err := newGenerator(bin, dir, rand.New(rand.NewPCG(seed, 0)))
	if err != nil {
		return false, err
	}
	todo := make(chan input)
	var t tally
	var workers sync.WaitGroup
	for range max(1, parallel) {
		workers.Go(func() {
			for in := range todo {
				t.add(in, give(bin, dir, in))
			}
		})
	}
	for range n {
		in, err := g.next()
		if err != nil {
			close(todo)
			workers.Wait()
			return false, err
		}
		todo <- in
	}
	close(todo)
	workers.Wait()
	return t.print(out, n), nil
}

// result is what came of an input.
type result struct {
	code     int
	hung     bool
	stdout   string
	stderr   string
	took     time.Duration
	resident int64
}

// give runs a program with an input.
func give(bin, dir string, in input) result {
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(bin, in.program), in.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=2GiB")
	begun := time.Now()
	err := cmd.Run()
	r := result{took: time.Since(begun), hung: ctx.Err() != nil, stdout: stdout.String(), stderr: stderr.String()}
	if state := cmd.ProcessState; state != nil {
		r.code = state.ExitCode()
		if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
			r.resident = usage.Maxrss << 10
		}
	} else if err != nil {
		r.code, r.stderr = -1, err.Error()+"\n"
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		r.hung = true
	}
	return r
}

// tally counts what must not happen.
type tally struct {
	mu                                  sync.Mutex
	given                               int
	panics, hangs, zeros, lines, length int
	slowest, largest                    given
	kinds                               map[string]int
	examples                            []string
}

// given is an input with what came of it.
type given struct {
	input
	result
}

func (g given) String() string {
	return foreign.Line(fmt.Sprintf("%s %q: exit %d, %q", g.program, g.args, g.code, strings.TrimSuffix(g.stderr, "\n")),
		0)
}

// mostExamples is how many of the inputs that failed are printed.
const mostExamples = 20

func (t *tally) add(in input, r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kinds == nil {
		t.kinds = map[string]int{}
	}
	t.given++
	t.kinds[in.kind]++
	if r.took > t.slowest.took {
		t.slowest = given{in, r}
	}
	if r.resident > t.largest.resident {
		t.largest = given{in, r}
	}
	message := strings.TrimSuffix(r.stderr, "\n")
	bad := func(count *int, when bool, what string) {
		if !when {
			return
		}
		*count++
		if len(t.examples) < mostExamples {
			t.examples = append(t.examples, what+": "+given{in, r}.String())
		}
	}
	all := r.stdout + r.stderr
	bad(&t.panics, strings.Contains(all, "panic: ") || strings.Contains(all, "goroutine 1 [") || strings.Contains(all,
		"fatal error: "), "panic")
	bad(&t.hangs, r.hung, "hang")
	bad(&t.zeros, r.code == 0, "exit 0")
	bad(&t.lines, !r.hung && r.code != 0 && (message == "" || strings.Contains(message, "\n")), "not one line")
	bad(&t.length, len(message) > foreign.MaxLine && !strings.Contains(message, "\n"), "long")
}

// print writes each figure beside its goal.
func (t *tally) print(out io.Writer, n int) (missed bool) {
	for _, e := range t.examples {
		fmt.Fprintln(out, "  ", e)
	}
	for _, f := range []struct {
		name       string
		have, want int
	}{
		{"panics", t.panics, 0}, {fmt.Sprintf("hangs over %s", hangs), t.hangs, 0}, {"exits of 0", t.zeros, 0},
		{"messages that are not one line", t.lines, 0}, {fmt.Sprintf("messages over %d bytes", foreign.MaxLine), t.length, 0},
	} {
		note := "ok"
		if f.have > f.want {
			note, missed = "MISSED", true
		}
		fmt.Fprintf(out, "%-32s asked for %d, measured %d  %s\n", f.name, f.want, f.have, note)
	}
	note := "ok"
	if t.given < n {
		note, missed = "MISSED", true
	}
	fmt.Fprintf(out, "%-32s asked for %d, measured %d  %s\n", "inputs", n, t.given, note)
	fmt.Fprintf(out, "by kind: %v\n", t.kinds)
	fmt.Fprintf(out, "the slowest took %s: %s\n", t.slowest.took.Round(time.Millisecond), t.slowest)
	fmt.Fprintf(out, "the largest process had %d MiB: %s\n", t.largest.resident>>20, t.largest)
	return missed
}
