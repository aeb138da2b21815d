// Package service is the service that the history describes, rebuilt on the same SDKs: it lists a whole Drive
// before the first upload, keeps a path of every folder and a goroutine of every file, and uploads through buffers.
// Each of its habits is a trait of package history that can be set otherwise, and two of them have a remedy that puts a
// part of the project's migrator at the same place. It is a patient, not a migrator: it doesn't resume or verify, and
// copies binary files only.
package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/memsoak/memsoak/migrator/wire"
	"github.com/memsoak/memsoak/soak/replay/history"
	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// Config is what a Service needs to know.
type Config struct {
	Drive  string // base URL of the Drive
	S3     string // base URL of the store
	Bucket string
	Traits history.Traits
	// Broker is the URL of the queue for history.DiscoveryBroker.
	Broker string
	// TempDir is where a spool goes; empty: the system's.
	TempDir string
}

// Service copies trees, one after the other. It is safe for concurrent use.
type Service struct {
	cfg     Config
	clients *clients
	engine  *wire.Engine // the migrator's parts, for remedies; nil without one
	stopGC  func()

	wave sync.Mutex
}

// New returns a service. It makes no request.
func New(cfg Config) (*Service, error) {
	if err := cfg.Traits.Validate(); err != nil {
		return nil, err
	}
	if cfg.Bucket == "" {
		return nil, errors.New("no bucket: say where to copy to")
	}
	if cfg.Traits.Discovery == history.DiscoveryBroker && cfg.Broker == "" {
		return nil, errors.New("no broker: give the URL of the one that the queue is on")
	}
	c, err := newClients(cfg)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, clients: c, stopGC: func() {}}
	if cfg.Traits.Discovery != history.DiscoveryMemory || cfg.Traits.Upload == history.UploadChunks {
		set := wire.DefaultSettings()
		set.DriveEndpoint, set.S3Endpoint, set.Bucket = cfg.Drive, cfg.S3, cfg.Bucket
		set.MaxIdleConns, set.MaxIdleConnsPerHost = cfg.Traits.MaxIdle, cfg.Traits.MaxIdlePerHost
		if s.engine, err = wire.Open(context.Background(), set); err != nil {
			return nil, err
		}
	}
	if cfg.Traits.ForceGCAbove > 0 {
		s.stopGC = forceGC(uint64(cfg.Traits.ForceGCAbove))
	}
	return s, nil
}

// Close drops idle connections and ends the forced collections.
func (s *Service) Close() {
	s.stopGC()
	s.clients.close()
	if s.engine != nil {
		s.engine.Close()
	}
}

// run is one wave.
type run struct {
	*Service
	prefix       string
	files, bytes atomic.Int64
	failed       atomic.Int64
	firstError   atomic.Pointer[error]
}

// Run copies the tree below root into prefix. Files that fail don't end it; they make its error.
func (s *Service) Run(ctx context.Context, root, prefix string) (copier.Stats, error) {
	s.wave.Lock()
	defer s.wave.Unlock()
	r := &run{Service: s, prefix: strings.TrimSuffix(prefix, "/")}
	var err error
	switch s.cfg.Traits.Discovery {
	case history.DiscoverySpool:
		err = r.spooled(ctx, root)
	case history.DiscoveryBroker:
		err = r.brokered(ctx, root)
	default:
		err = r.listed(ctx, root)
	}
	if n := r.failed.Load(); n > 0 && err == nil {
		err = fmt.Errorf("%d of %d files failed, the first: %w", n, n+r.files.Load(), *r.firstError.Load())
	}
	return copier.Stats{Files: r.files.Load(), Bytes: r.bytes.Load()}, err
}

// listed is the history's way: the whole tree is listed, then each file gets a goroutine that waits for one of the
// workers' places.
func (r *run) listed(ctx context.Context, root string) error {
	t, err := discover(ctx, r.clients.drive, root, r.cfg.Traits.DiscoveryWorkers)
	if err != nil {
		return fmt.Errorf("discovery: %w", err)
	}
	places := make(chan struct{}, r.cfg.Traits.Workers)
	var all sync.WaitGroup
	for _, f := range t.files {
		all.Add(1)
		go r.worker(ctx, f, places, &all)
	}
	all.Wait()
	return context.Cause(ctx)
}

// worker waits for a place and copies one file.
func (r *run) worker(ctx context.Context, f *file, places chan struct{}, all *sync.WaitGroup) {
	defer all.Done()
	select {
	case places <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-places }()
	r.copy(ctx, f)
}

// note counts what became of a file.
func (r *run) note(f *file, err error) {
	if err == nil {
		r.files.Add(1)
		r.bytes.Add(f.size)
		return
	}
	err = fmt.Errorf("copy %s: %w", f.path, err)
	r.firstError.CompareAndSwap(nil, &err)
	r.failed.Add(1)
}
