package copier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Config is the settings of an engine, the same as a subject's of the soak runner.
type Config struct {
	Drive  string // base URL of the Drive, with or without /drive/v3
	S3     string // base URL of the sink
	Bucket string

	Workers   int // concurrent transfers
	Discovery int // concurrent listings
	// MaxIdle and MaxIdlePerHost are the http.Transport's. The zero values are its defaults.
	MaxIdle        int
	MaxIdlePerHost int
	CAFile         string // PEM of the CA to trust besides the system's; empty: none
	// TempDir is where spools go; empty: the system's.
	TempDir string
	// Attempts is how often a transfer is tried; 0 is 3: an idle connection that the server closes at the same moment is
	// common.
	Attempts int
}

// DefaultConfig returns the settings of a specimen that knows nothing but its addresses.
func DefaultConfig() Config {
	return Config{Workers: 8, Discovery: 1, MaxIdle: 100, MaxIdlePerHost: 64}
}

// File is one file of a listing.
type File struct {
	ID   string
	Name string
	Size int64
}

// Worker is one of the engine's workers. It lives as long as the engine: a fault may keep things per worker.
type Worker struct{ Index int }

// Stats are the results of a wave.
type Stats struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// Engine copies trees. Waves run one after the other. The zero value is not usable; see New.
type Engine struct {
	cfg    Config
	client *Client
	hooks  Hooks

	wave     sync.Mutex
	workers  []*Worker
	sequence atomic.Int64
	stop     context.CancelFunc
}

// New returns an engine whose faults are those that seams returns for it; nil seams make it healthy.
func New(cfg Config, seams func(*Engine) Hooks) (*Engine, error) {
	if cfg.Workers < 1 || cfg.Discovery < 1 {
		return nil, fmt.Errorf("workers %d and discovery workers %d must be at least 1", cfg.Workers, cfg.Discovery)
	}
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, client: c}
	for i := range cfg.Workers {
		e.workers = append(e.workers, &Worker{Index: i})
	}
	if seams != nil {
		e.hooks = seams(e)
	}
	ctx, stop := context.WithCancel(context.Background())
	e.stop = stop
	if e.hooks.Transport != nil {
		e.hooks.Transport(c.Transport)
	}
	if e.hooks.Start != nil {
		e.hooks.Start(ctx)
	}
	return e, nil
}

// Config returns the engine's settings.
func (e *Engine) Config() Config { return e.cfg }

// Client returns the engine's client of both services.
func (e *Engine) Client() *Client { return e.client }

// Sequence returns a number that no earlier call returned: repeated work gets fresh numbers.
func (e *Engine) Sequence() int64 { return e.sequence.Add(1) }

// Close ends what Hooks.Start began and closes idle connections.
func (e *Engine) Close() {
	e.stop()
	e.client.Transport.CloseIdleConnections()
}

// Run copies the tree below root into prefix and returns when all of it is done.
func (e *Engine) Run(ctx context.Context, root, prefix string) (Stats, error) {
	e.wave.Lock()
	defer e.wave.Unlock()
	var q Queue
	if e.hooks.Queue != nil {
		q = e.hooks.Queue()
	} else {
		q = newBounded(e.cfg.Workers)
	}
	w := &wave{engine: e, queue: q, prefix: strings.TrimSuffix(prefix, "/"), listings: make(chan struct{},
		e.cfg.Discovery-1)}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer q.Close()
		return w.walk(ctx, root)
	})
	for _, worker := range e.workers {
		g.Go(func() error { return w.work(ctx, worker) })
	}
	err := g.Wait()
	if e.hooks.WaveEnd != nil {
		e.hooks.WaveEnd()
	}
	return Stats{Files: w.files.Load(), Bytes: w.bytes.Load()}, err
}

// wave is one run of the engine.
type wave struct {
	engine       *Engine
	queue        Queue
	prefix       string
	listings     chan struct{} // tokens of the walkers beyond the first
	files, bytes atomic.Int64
}

// walk lists a folder page by page, depth first: of each level of the tree one page is held, whatever its size.
func (w *wave) walk(ctx context.Context, folder string) error {
	g, ctx := errgroup.WithContext(ctx)
	err := w.engine.client.List(ctx, folder, func(p *Page) error {
		if h := w.engine.hooks.Page; h != nil {
			h(p)
		}
		for _, f := range p.Files {
			if h := w.engine.hooks.Listed; h != nil {
				h(ctx, f)
			}
			if err := w.queue.Put(ctx, f); err != nil {
				return err
			}
		}
		for _, sub := range p.Folders {
			select {
			case w.listings <- struct{}{}:
				g.Go(func() error {
					defer func() { <-w.listings }()
					return w.walk(ctx, sub)
				})
			default:
				if err := w.walk(ctx, sub); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return errors.Join(err, g.Wait())
}

func (w *wave) work(ctx context.Context, worker *Worker) error {
	for {
		f, ok, err := w.queue.Get(ctx)
		if err != nil || !ok {
			return err
		}
		if err := w.copyFile(ctx, worker, f); err != nil {
			return err
		}
	}
}

func (w *wave) copyFile(ctx context.Context, worker *Worker, f File) error {
	h := &w.engine.hooks
	transfer := func() error { return w.transfer(ctx, worker, f) }
	var err error
	for range cmp.Or(w.engine.cfg.Attempts, 3) {
		if h.Around != nil {
			err = h.Around(ctx, worker, f, transfer)
		} else {
			err = transfer()
		}
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("copy %s: %w", f.ID, err)
	}
	w.files.Add(1)
	w.bytes.Add(f.Size)
	if h.Done != nil {
		h.Done(ctx, worker, f)
	}
	return nil
}

func (w *wave) transfer(ctx context.Context, worker *Worker, f File) error {
	h := &w.engine.hooks
	body, err := w.engine.client.Download(ctx, f)
	if err != nil {
		return err
	}
	defer body.Close()
	key := f.ID
	if w.prefix != "" {
		key = w.prefix + "/" + f.ID
	}
	if h.Upload != nil {
		return h.Upload(ctx, worker, f, key, body)
	}
	return w.engine.client.Upload(ctx, key, body, f.Size)
}
