package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	processes = 4  // uploaders beside one copy
	workers   = 16 // of the copy
)

// beside are the wall times of one round over one tree, each over that of a copy with the embedded queue.
type beside struct {
	alike    float64 // uploaders of as many workers each as the copy
	shares   float64 // the same, each on its share of the processors
	split    float64 // uploaders of as many workers together as the copy
	quarters float64 // copies of a quarter of the tree each, with an embedded queue and as many workers together
	more     int64   // anonymous memory of an uploader of alike above the copy's, bytes
}

// uploaders compares a discoverer and four uploaders with a copy by the embedded queue. Asked for are uploaders that
// are set as the copy is. The others separate the cost of the queue from that of four processes.
func (b *bench) uploaders(s *server) error {
	files, folders, rounds := 40_000, 200, 2*b.rounds-1
	if b.quick {
		files, folders = 2000, 20
	}
	var all []beside
	for range rounds {
		r, err := b.round(s, files, folders)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	rate := func(of func(*beside) float64) (float64, string) {
		v := make([]float64, len(all))
		for i := range all {
			v[i] = 1 / of(&all[i])
		}
		return median(v), fmt.Sprintf("%.2f (rounds %.2f)", median(v), v)
	}
	grew := make([]float64, len(all))
	for i := range all {
		grew[i] = float64(all[i].more)
	}
	r, text := rate(func(r *beside) float64 { return r.alike })
	b.add(fmt.Sprintf("four uploaders on %s: rate / the embedded queue's, %d workers in each process", s.name, workers),
		fmt.Sprintf(">= %.1f", s.rate), text, r >= s.rate)
	b.figure(s, "an uploader's anonymous RSS on "+s.name+" above the embedded queue's", "<= 4 MiB",
		size(int64(median(grew))), median(grew) <= 4*mib)
	_, text = rate(func(r *beside) float64 { return r.shares })
	b.note("the same rate, each uploader on its share of the processors (GOMAXPROCS)", text)
	_, text = rate(func(r *beside) float64 { return r.split })
	b.note(fmt.Sprintf("the same rate, %d workers in each uploader", workers/processes), text)
	_, text = rate(func(r *beside) float64 { return r.quarters })
	b.note("the same rate, but four copies of a quarter with an embedded queue", text)
	return nil
}

// round runs everything once, between two copies with the embedded queue.
func (b *bench) round(s *server, files, folders int) (r beside, err error) {
	root, err := b.tree(files, folders)
	if err != nil {
		return r, err
	}
	before, err := b.measure(b.migrator(root, workers))
	if err != nil {
		return r, err
	}
	alike, anon, err := b.parts(s, root, workers, runtime.NumCPU())
	if err != nil {
		return r, err
	}
	share := max(1, runtime.NumCPU()/processes)
	shares, _, err := b.parts(s, root, workers, share)
	if err != nil {
		return r, err
	}
	split, _, err := b.parts(s, root, workers/processes, runtime.NumCPU())
	if err != nil {
		return r, err
	}
	quarters, err := b.copies(files/processes, folders/processes)
	if err != nil {
		return r, err
	}
	after, err := b.measure(b.migrator(root, workers))
	if err != nil {
		return r, err
	}
	copied := (before.wall + after.wall).Seconds() / 2
	return beside{alike: alike.Seconds() / copied, shares: shares.Seconds() / copied, split: split.Seconds() / copied,
		quarters: quarters.Seconds() / copied, more: anon - max(before.anon, after.anon)}, nil
}

// tree makes a tree of small files, and returns its root.
func (b *bench) tree(files, folders int) (string, error) {
	root, err := b.drive.Root(b.ctx, "", fmt.Sprintf("seed: 1\nfiles: %d\nfolders: %d\nsize: 4KiB\n", files, folders),
		uint64(b.n)+1)
	return root.ID, err
}

// parts runs a discoverer and uploaders of so many workers on so many processors each. It returns how long all of it
// took, and the most anonymous memory of an uploader.
func (b *bench) parts(s *server, root string, workers, processors int) (wall time.Duration, anon int64, err error) {
	b.n++
	name := fmt.Sprintf("q%d", b.n)
	part := func(command string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(b.ctx, b.bins.Migrator, append([]string{command, "--queue", s.url, "--queue-name", name,
			"--drive-endpoint", b.drive.HTTPS, "--s3-endpoint", b.sink.HTTPS, "--ca-file", b.ca, "--bucket", bucket},
			args...)...)
		cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", processors))
		return cmd
	}
	began := time.Now()
	var g errgroup.Group
	g.Go(func() error {
		_, err := b.measure(part("discover", "--prefix", name, root))
		return err
	})
	peaks := make([]int64, processes)
	for i := range peaks {
		g.Go(func() error {
			r, err := b.measure(part("upload", "--workers", strconv.Itoa(workers)))
			peaks[i] = r.anon
			return err
		})
	}
	err = g.Wait()
	return time.Since(began), slices.Max(peaks), err
}

// copies runs copies with an embedded queue side by side, each of a tree of its own, and returns how long all took.
func (b *bench) copies(files, folders int) (time.Duration, error) {
	cmds := make([]*exec.Cmd, processes)
	for i := range cmds {
		root, err := b.tree(files, folders)
		if err != nil {
			return 0, err
		}
		cmds[i] = b.migrator(root, workers/processes)
	}
	began := time.Now()
	var g errgroup.Group
	for _, c := range cmds {
		g.Go(func() error {
			_, err := b.measure(c)
			return err
		})
	}
	err := g.Wait()
	return time.Since(began), err
}
