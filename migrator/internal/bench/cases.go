package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/figure"
	"github.com/memsoak/memsoak/internal/units"
)

const mib = 1 << 20

func size(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/mib) }

// cgroup runs 50 workers inside a hard memory limit.
func (b *bench) cgroup() error {
	return b.within("50 workers on mixed in a 64 MiB cgroup", 64*mib, 0, func() (*exec.Cmd, error) {
		root, err := b.drive.Root(b.ctx, "mixed", "", uint64(b.n)+1)
		return b.migrator(root.ID, 50), err
	})
}

// besideBudget is what a process may have beside --memory: pages of its program and of the queue's files.
const besideBudget = 24 * mib

// memory copies small and huge files with a budget alone, in a cgroup that has little more than the budget.
func (b *bench) memory() error {
	files, huge := 20_000, "1GiB"
	if b.quick {
		files, huge = 4000, "128MiB"
	}
	for _, budget := range []int64{17, 32, 64, 256} {
		for name, spec := range map[string]string{
			"small files":                    fmt.Sprintf("seed: 1\nfiles: %d\nfolders: 20\nsize: 4KiB\n", files),
			"files of " + huge + " in parts": fmt.Sprintf("seed: 1\nfiles: 4\nsize: %s\n", huge),
		} {
			what := fmt.Sprintf("--memory %dMiB, %s, in a cgroup of %d MiB more", budget, name, besideBudget/mib)
			err := b.within(what, budget*mib+besideBudget, budget*mib, func() (*exec.Cmd, error) {
				root, err := b.drive.Root(b.ctx, "", spec, uint64(b.n)+1)
				cmd := b.migrator(root.ID, 0, "--memory", fmt.Sprintf("%dMiB", budget), "--multipart-threshold", "64MiB")
				cmd.Args = slices.DeleteFunc(cmd.Args, func(a string) bool { return a == "--workers" || a == "0" })
				return cmd, err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// within runs a command in a memory cgroup, to its end, with anonymous memory of at most so much where that is given.
func (b *bench) within(what string, limit, most int64, command func() (*exec.Cmd, error)) error {
	asked := "finishes"
	if most > 0 {
		asked = "finishes, anonymous <= " + size(most)
	}
	dir, procs, err := makeCgroup(limit)
	if err != nil {
		b.skip(what, asked, err.Error())
		return nil
	}
	defer os.Remove(dir)
	cmd, err := command()
	if err != nil {
		return err
	}
	inner := append([]string{"-c", `echo $$ > "$0" && exec "$@"`, procs, cmd.Path}, cmd.Args[1:]...)
	in := exec.CommandContext(b.ctx, "/bin/sh", inner...)
	in.Env = cmd.Env
	r, err := b.measure(in)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		b.add(what, asked, "failed: "+exit.Error()+": "+strings.TrimSpace(tail(r.out)), false)
		return nil
	}
	if err != nil {
		return err
	}
	b.add(what, asked, fmt.Sprintf("finished in %.1f s, peak of the cgroup %s, RSS %s, anonymous %s", r.wall.Seconds(),
		size(charged(dir)), size(r.rss), size(r.anon)), most == 0 || r.anon <= most)
	return nil
}

// charged is the most that a cgroup was charged.
func charged(dir string) int64 {
	for _, name := range []string{"memory.max_usage_in_bytes", "memory.peak"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // the kernel's
			return n
		}
	}
	return 0
}

// makeCgroup makes a memory cgroup below the root of the hierarchy, version 1 or 2.
func makeCgroup(limit int64) (dir, procs string, err error) {
	name := fmt.Sprintf("migrator-bench-%d", os.Getpid())
	for _, v := range []struct{ base, file string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup",
		"memory.max"}} {
		dir = filepath.Join(v.base, name)
		if err = os.Mkdir(dir, 0o755); err != nil {
			continue
		}
		if err = os.WriteFile(filepath.Join(dir, v.file), []byte(strconv.FormatInt(limit, 10)), 0o644); err == nil {
			return dir, filepath.Join(dir, "cgroup.procs"), nil
		}
		os.Remove(dir)
	}
	return "", "", fmt.Errorf("no memory cgroup: %w", err)
}

// lister runs this program's own child that lists a tree into a queue by the migrator's library.
func (b *bench) lister(root string) *exec.Cmd {
	b.n++
	return exec.CommandContext(b.ctx, b.self, "list", "-drive", b.drive.HTTPS, "-ca", b.ca, "-root", root,
		"-dir", filepath.Join(b.dir, fmt.Sprintf("list%d", b.n)))
}

func (b *bench) list() error {
	small, many, rate := "seed: 1\nfiles: 10000\nfolders: 400\n", int64(1_000_000), int64(300_000)
	if b.quick {
		many, rate = 50_000, 30_000
	}
	base, err := b.listTree("", small)
	if err != nil {
		return err
	}
	big, err := b.listTree("", fmt.Sprintf("seed: 1\nfiles: %d\nfolders: %d\n", many, many/25))
	if err != nil {
		return err
	}
	grew := big.anon - base.anon
	b.add(fmt.Sprintf("listing %s files: anonymous RSS above that at 10,000", units.Comma(many)), "<= 4 MiB",
		fmt.Sprintf("%s (%s, %s)", size(grew), size(base.anon), size(big.anon)), grew <= 4*mib)
	return b.listRate(rate)
}

func (b *bench) listTree(corpus, spec string) (result, error) {
	root, err := b.drive.Root(b.ctx, corpus, spec, 1)
	if err != nil {
		return result{}, err
	}
	return b.measure(b.lister(root.ID))
}

// listRate compares with rclone's listing of the same tree.
func (b *bench) listRate(files int64) error {
	what := fmt.Sprintf("listing %s files into the queue: rate / rclone's", units.Comma(files))
	if !b.hasRclone() {
		b.skip(what, ">= 1.00", "no "+b.rclone)
		return nil
	}
	root, err := b.drive.Root(b.ctx, "", fmt.Sprintf("seed: 1\nfiles: %d\nfolders: %d\n", files, files/100), 1)
	if err != nil {
		return err
	}
	var mig, theirs runs
	for range b.pairs {
		if err := b.one(&mig, b.lister(root.ID)); err != nil {
			return err
		}
		cmd, err := b.rcloneCmd(root.ID, "size", "drive:", "--fast-list", "--checkers", "16", "--drive-list-chunk", "1000")
		if err != nil {
			return err
		}
		if err := b.one(&theirs, cmd); err != nil {
			return err
		}
	}
	n, v := float64(files), figure.Summarize(theirs.over(mig, wall, wall))
	b.judge(what, ">= 1.00", fmt.Sprintf("%s, %.0f files/s, rclone %.0f", v.Ratio(), n/mig.median(wall),
		n/theirs.median(wall)), v.AtLeast(1))
	b.note("listing: CPU us a file, client + fakes", fmt.Sprintf("%.1f + %.1f (rclone %.1f + %.1f)", 1e6*mig.median(cpu)/n,
		1e6*mig.median(fakes)/n, 1e6*theirs.median(cpu)/n, 1e6*theirs.median(fakes)/n))
	return nil
}

func (b *bench) one(to *runs, cmd *exec.Cmd) error {
	r, err := b.measure(cmd)
	*to = append(*to, r)
	return err
}

func (b *bench) tenMillion() error {
	const what = "listing ten-million: anonymous RSS above that at 10,000"
	if b.quick {
		b.skip(what, "<= 4 MiB", "quick")
		return nil
	}
	base, err := b.listTree("", "seed: 1\nfiles: 10000\nfolders: 400\n")
	if err != nil {
		return err
	}
	big, err := b.listTree("ten-million", "")
	if err != nil {
		return err
	}
	grew := big.anon - base.anon
	b.add(what, "<= 4 MiB", fmt.Sprintf("%s (%s, %s)", size(grew), size(base.anon), size(big.anon)), grew <= 4*mib)
	return nil
}

// http2 holds downloads over HTTP/2 by a slow sink, and looks at what further workers add.
func (b *bench) http2() error {
	plan := json.RawMessage("bandwidth: {stream: 100KiB}\n")
	if err := b.sink.Call(b.ctx, http.MethodPut, "faults", plan, nil); err != nil {
		return err
	}
	defer b.sink.Call(context.WithoutCancel(b.ctx), http.MethodDelete, "faults", nil, nil)
	const few, many = 8, 40
	low, err := b.held(few)
	if err != nil {
		return err
	}
	high, err := b.held(many)
	if err != nil {
		return err
	}
	per := (high - low) / (many - few)
	b.add("HTTP/2 over TLS, slow sink: anonymous RSS per worker", "<= 256 KiB", fmt.Sprintf("%.0f KiB", float64(per)/1024),
		per <= 256<<10)
	return nil
}

// held is the anonymous memory of a migrator whose workers all wait for a slow sink.
func (b *bench) held(workers int) (int64, error) {
	root, err := b.drive.Root(b.ctx, "", fmt.Sprintf("seed: 1\nfiles: %d\nsize: 64MiB\n", workers), uint64(b.n)+1)
	if err != nil {
		return 0, err
	}
	cmd := b.migrator(root.ID, workers, "--http2")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := b.sink.Counters(b.ctx)
		if err != nil {
			return 0, err
		}
		if c.InFlight == int64(workers) {
			break
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("%d of %d uploads began", c.InFlight, workers)
		}
	}
	most := int64(0)
	for range 40 { // windows fill within seconds
		time.Sleep(100 * time.Millisecond)
		most = max(most, anon(cmd.Process.Pid))
	}
	return most, nil
}
