package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	processes = 4  // uploaders beside one copy
	workers   = 16 // of the copy
)

// beside are the runs of one round over one tree.
type beside struct {
	embedded result        // one copy with the embedded queue
	alike    group         // uploaders of as many workers each
	split    group         // uploaders of as many workers together
	quarters time.Duration // copies of a quarter of the tree each, with an embedded queue and as many workers together
}

// group are processes that work together.
type group struct {
	wall time.Duration
	anon int64 // the most anonymous memory of an uploader, bytes
}

// uploaders compares a discoverer and four uploaders with a copy by the embedded queue: uploaders that are set as the copy is,
// which is what was asked for, and such that have no more workers than it all together. Four processes cost more than one
// even with nothing between them; what that is, four copies of a quarter tell.
func (b *bench) uploaders(s *server) error {
	files, folders, rounds := 20_000, 100, b.rounds
	if b.quick {
		files, folders = 2000, 20
	} else if s.asked {
		rounds *= 3
	}
	var rates, splits, queue, more []float64
	for range rounds {
		r, err := b.round(s, files, folders)
		if err != nil {
			return err
		}
		rates = append(rates, r.embedded.wall.Seconds()/r.alike.wall.Seconds())
		splits = append(splits, r.embedded.wall.Seconds()/r.split.wall.Seconds())
		queue = append(queue, r.quarters.Seconds()/r.split.wall.Seconds())
		more = append(more, float64(r.alike.anon-r.embedded.anon))
	}
	rate, grew := median(rates), int64(median(more))
	b.figure(s, fmt.Sprintf("four uploaders of %d workers on %s: rate / the embedded queue's, %d workers", workers, s.name, workers), ">= 0.9",
		fmt.Sprintf("%.2f (rounds %.2f)", rate, rates), rate >= 0.9)
	b.figure(s, "an uploader's anonymous RSS on "+s.name+" above the embedded queue's", "<= 4 MiB", size(grew), grew <= 4*mib)
	b.note(fmt.Sprintf("four uploaders of %d workers on %s: rate / the embedded queue's, %d workers", workers/processes, s.name, workers),
		fmt.Sprintf("%.2f (rounds %.2f)", median(splits), splits))
	b.note(fmt.Sprintf("four uploaders of %d workers on %s: rate / that of four copies of a quarter", workers/processes, s.name),
		fmt.Sprintf("%.2f (rounds %.2f)", median(queue), queue))
	return nil
}

func (b *bench) round(s *server, files, folders int) (r beside, err error) {
	root, err := b.tree(files, folders)
	if err != nil {
		return r, err
	}
	if r.embedded, err = b.measure(b.migrator(root, workers)); err != nil {
		return r, err
	}
	if r.alike, err = b.parts(s, root, workers); err != nil {
		return r, err
	}
	if r.split, err = b.parts(s, root, workers/processes); err != nil {
		return r, err
	}
	r.quarters, err = b.copies(files/processes, folders/processes)
	return r, err
}

// tree makes a tree of small files, and returns its root.
func (b *bench) tree(files, folders int) (string, error) {
	root, err := b.drive.Root(b.ctx, "", fmt.Sprintf("seed: 1\nfiles: %d\nfolders: %d\nsize: 4KiB\n", files, folders), uint64(b.n)+1)
	return root.ID, err
}

// parts runs a discoverer and uploaders of so many workers each.
func (b *bench) parts(s *server, root string, workers int) (r group, err error) {
	b.n++
	name := fmt.Sprintf("q%d", b.n)
	part := func(command string, args ...string) *exec.Cmd {
		return exec.CommandContext(b.ctx, b.bins.Migrator, append([]string{command, "--queue", s.url, "--queue-name", name,
			"--drive-endpoint", b.drive.HTTPS, "--s3-endpoint", b.sink.HTTPS, "--ca-file", b.ca, "--bucket", bucket}, args...)...)
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
	r.wall = time.Since(began)
	for _, p := range peaks {
		r.anon = max(r.anon, p)
	}
	return r, err
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
