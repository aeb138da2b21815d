package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/internal/needs"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/rig"
	"github.com/memsoak/memsoak/migrator/wire"
)

// server is a broker that runs for the bench.
type server struct {
	name    string
	url     string
	pid     int
	rate    float64 // that is asked for of four uploaders, over the embedded queue's
	asked   bool    // the other figures that were asked for are Redis's
	process string
}

// onRedis and onRabbit measure the queues on brokers: the broker's memory with very many items, and uploaders beside
// the embedded queue.
func (b *bench) onRedis() error {
	dir := filepath.Join(b.dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s, err := rig.Redis(b.ctx, dir, "--appendfsync", "everysec")
	if errors.Is(err, needs.ErrMissing) {
		b.skip("the queue on Redis", "-", err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Kill()
	return b.queue(&server{name: "Redis", url: s.URL(), pid: s.PID(), rate: 0.9, asked: true, process: "redis-server"})
}

func (b *bench) onRabbit() error {
	dir := filepath.Join(b.dir, "rabbit")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s, err := rig.Rabbit(b.ctx, dir)
	if errors.Is(err, needs.ErrMissing) {
		b.skip("the queue on RabbitMQ", "-", err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Stop()
	idle, err := highWater(s.PID())
	if err != nil {
		return err
	}
	b.note("RabbitMQ without any queue: peak RSS", size(idle))
	return b.queue(&server{name: "RabbitMQ", url: s.URL(), pid: s.PID(), rate: 0.6, process: "rabbitmq-server"})
}

func (b *bench) queue(s *server) error {
	if err := b.through(s); err != nil {
		return err
	}
	return b.uploaders(s)
}

// figure records one of a broker: checked where something was asked for.
func (b *bench) figure(s *server, what, asked, measured string, ok bool) {
	if s.asked {
		b.add(what, asked, measured, ok)
	} else {
		b.note(what, measured)
	}
}

// perFolder is how many files a folder of through has: a page.
const perFolder = 1000

// through sends items through the broker as two discoverers and four uploaders would if copying took no time.
func (b *bench) through(s *server) error {
	folders := 1000
	if b.quick {
		folders = 200
	}
	var open []wire.Broker
	defer func() {
		for _, q := range open {
			_ = q.Close() // the server goes with it
		}
	}()
	for range 6 {
		o := wire.DefaultBrokerOptions()
		o.Name, o.Prefetch = "bench", 16
		q, err := wire.OpenBroker(b.ctx, s.url, o)
		if err != nil {
			return err
		}
		open = append(open, q)
	}
	root := migrator.Item{Kind: migrator.Folder, ID: "root", Ancestors: []uint64{1}}
	if _, err := open[0].Begin(b.ctx, wire.Migration{ID: "bench"}, root, false); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(b.ctx)
	for _, q := range open[:2] {
		g.Go(func() error {
			return drain(ctx, q, migrator.Folder, func(it *migrator.Item) migrator.Result { return listed(it, folders) })
		})
	}
	for _, q := range open[2:] {
		for range 16 {
			g.Go(func() error {
				return drain(ctx, q, migrator.File,
					func(*migrator.Item) migrator.Result { return migrator.Result{Outcome: migrator.Copied, Bytes: 4096} })
			})
		}
	}
	began := time.Now()
	if err := g.Wait(); err != nil {
		return err
	}
	t, err := open[0].Totals(b.ctx)
	if err != nil {
		return err
	}
	peak, err := highWater(s.pid)
	if err != nil {
		return err
	}
	if t.Copied != int64(folders*perFolder) {
		return fmt.Errorf("%d items came through %s, not %d", t.Copied, s.name, folders*perFolder)
	}
	what := fmt.Sprintf("%s items through %s (%.0f/s): peak RSS of %s", units.Comma(t.Copied), s.name,
		float64(t.Copied)/time.Since(began).Seconds(), s.process)
	b.figure(s, what, "<= 256 MiB", size(peak), peak <= 256*mib)
	return nil
}

// drain takes and settles until the end.
func drain(ctx context.Context, q wire.Broker, k migrator.Kind, result func(*migrator.Item) migrator.Result) error {
	for {
		l, err := q.Take(ctx, k)
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = q.Settle(ctx, l, result(&l.Item))
		}
		if err != nil {
			return err
		}
	}
}

// listed is what listing a folder of through gives: folders below the root, and files of ordinary names below them.
func listed(it *migrator.Item, folders int) migrator.Result {
	r := migrator.Result{Outcome: migrator.Listed}
	if it.ID == "root" {
		for i := range folders {
			r.Produced = append(r.Produced, migrator.Item{Kind: migrator.Folder, ID: fmt.Sprintf("1AbCdEfGhIjKlMnOpQrStUvW%09d",
				i),
				Key: fmt.Sprintf("archive/folder %06d/", i), Ancestors: []uint64{1, uint64(i)}})
		}
		return r
	}
	for i := range perFolder {
		name := fmt.Sprintf("a file of an ordinary name %06d.jpeg", i)
		r.Produced = append(r.Produced, migrator.Item{Kind: migrator.File, ID: fmt.Sprintf("%s%06d", it.ID[6:], i),
			Key: it.Key + name, Name: name,
			Parent: it.ID, Size: 4096, MD5: fmt.Sprintf("%032x", i), Modified: time.UnixMilli(1_700_000_000_000),
			MIME: "image/jpeg"})
	}
	return r
}

// highWater is the most resident memory that a process ever had, in bytes.
func highWater(pid int) (int64, error) {
	proc, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	status, err := proc.NewStatus()
	if err == nil && status.VmHWM == 0 {
		err = errors.New("no VmHWM")
	}
	return int64(status.VmHWM), err
}
