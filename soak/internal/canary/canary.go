// Package canary is the subject of the gate's self-check: the copier of the specimens, healthy unless it is set to leak
// a known amount per file. It comes with the soak binary, so that every gate can prove on its own machine that it sees
// such a leak and that it passes two equal recordings.
package canary

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// LinkBytes is the size of one leaked object; it is a size class of the allocator, so that requested and retained bytes
// are equal.
const LinkBytes = 64

// Options of the canary.
type Options struct {
	Drive, S3, Bucket string
	Workers           int
	// LeakBytes are retained per file, rounded up to a multiple of LinkBytes; LeakRoutines never end.
	LeakBytes, LeakRoutines int
}

// Spec is the subject file of the canary that the soak program at the path given serves. leak_bytes and
// leak_goroutines are settings, for an axis or --set.
func Spec(program string) *subject.Spec {
	return &subject.Spec{
		Name: "canary",
		Command: []string{program, "canary", "--listen={{.addr}}", "--drive-endpoint={{.drive_url}}",
			"--s3-endpoint={{.s3_url}}",
			"--bucket={{.bucket}}", "--workers={{.workers}}", "--leak-bytes={{.leak_bytes}}",
			"--leak-goroutines={{.leak_goroutines}}"},
		Pprof: "http://{{.addr}}/debug/pprof",
		Ready: "http://{{.addr}}/ready",
		Wave: subject.Wave{Method: http.MethodPost, URL: "http://{{.addr}}/wave",
			Body: `{"root":"{{.root}}","prefix":"{{.prefix}}"}`},
		Module:   "github.com/memsoak/memsoak",
		Settings: map[string]string{"workers": "4", "leak_bytes": "0", "leak_goroutines": "0"},
	}
}

// Serve serves waves and pprof on the address until ctx ends.
func Serve(ctx context.Context, addr string, o Options) error {
	k := &keeper{o: o, done: ctx.Done()}
	cfg := copier.DefaultConfig()
	cfg.Drive, cfg.S3, cfg.Bucket, cfg.Workers, cfg.MaxIdlePerHost = o.Drive, o.S3, o.Bucket, o.Workers, o.Workers
	engine, err := copier.New(cfg, func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) { k.leak() }}
	})
	if err != nil {
		return err
	}
	defer engine.Close()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /wave", func(w http.ResponseWriter, r *http.Request) {
		var job struct{ Root, Prefix string }
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if _, err := engine.Run(r.Context(), job.Root, job.Prefix); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// link is a leaked object of LinkBytes.
type link struct {
	next *link
	_    [LinkBytes - 8]byte
}

// keeper holds the leaked objects.
type keeper struct {
	o    Options
	done <-chan struct{}

	mu   sync.Mutex
	kept *link
}

// leak retains the requested bytes, once per file.
func (k *keeper) leak() {
	for range (k.o.LeakBytes + LinkBytes - 1) / LinkBytes {
		k.mu.Lock()
		k.kept = &link{next: k.kept}
		k.mu.Unlock()
	}
	for range k.o.LeakRoutines {
		go func() { <-k.done }()
	}
}
