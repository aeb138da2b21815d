// Package migration has faults on the seams of the project's own migrator: a Source, a Sink or a Queue that wraps the
// real one. The line that a verdict should name ends in a comment "fault:NAME".
package migration

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// seams wrap the parts of a migration. Any may be nil.
type seams struct {
	source func(migrator.Source) migrator.Source
	sink   func(migrator.Sink) migrator.Sink
	queue  func(wire.Queue) migrator.Queue
}

// engine runs migrations, one after the other, over one source and one sink.
type engine struct {
	cfg   copier.Config
	wire  *wire.Engine
	seams seams

	wave sync.Mutex
}

func newEngine(cfg copier.Config, s seams) (*engine, error) {
	set := wire.DefaultSettings()
	set.DriveEndpoint, set.S3Endpoint, set.Bucket, set.CAFile = cfg.Drive, cfg.S3, cfg.Bucket, cfg.CAFile
	set.MaxIdleConns, set.MaxIdleConnsPerHost = cfg.MaxIdle, cfg.MaxIdlePerHost
	w, err := wire.Open(context.Background(), set)
	if err != nil {
		return nil, err
	}
	if s.source != nil {
		w.Source = s.source(w.Source)
	}
	if s.sink != nil {
		w.Sink = s.sink(w.Sink)
	}
	return &engine{cfg: cfg, wire: w, seams: s}, nil
}

// Close drops idle connections.
func (e *engine) Close() { e.wire.Close() }

// Run migrates the tree below root into prefix.
func (e *engine) Run(ctx context.Context, root, prefix string) (copier.Stats, error) {
	e.wave.Lock()
	defer e.wave.Unlock()
	dir, err := os.MkdirTemp(e.cfg.TempDir, "specimen-queue-*")
	if err != nil {
		return copier.Stats{}, err
	}
	defer os.RemoveAll(dir)
	real, resumed, err := wire.OpenQueue(dir)
	if err != nil {
		return copier.Stats{}, err
	}
	defer real.Close()
	var q migrator.Queue = real
	if e.seams.queue != nil {
		q = e.seams.queue(real)
	}
	cfg := migrator.DefaultConfig()
	cfg.Root, cfg.Prefix = root, strings.TrimSuffix(prefix, "/")
	cfg.Workers, cfg.DiscoveryWorkers, cfg.SpoolDir = e.cfg.Workers, e.cfg.Discovery, e.cfg.TempDir
	c, err := migrator.New(cfg, e.wire.Source, e.wire.Sink, q)
	if err != nil {
		return copier.Stats{}, err
	}
	if err := c.Start(ctx, resumed); err != nil {
		return copier.Stats{}, fmt.Errorf("start: %w", err)
	}
	err = c.Run(ctx)
	s := c.Stats()
	return copier.Stats{Files: s.Copied.Load() + s.Skipped.Load(), Bytes: s.Bytes.Load()}, err
}
