package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

func newServeCmd() *cobra.Command {
	s := newSettings()
	var listen string
	cmd := &cobra.Command{
		Use:   "serve --bucket BUCKET [flags]",
		Short: "Run migrations that are asked for over HTTP",
		Long: "Serve POST /v1/migrations, GET /v1/migrations/{id}, /healthz, /metrics and /debug/pprof/.\n" +
			"Without --state-dir, unfinished work is kept in a temporary folder and lost with the process.",
		Example: "  migrator serve --listen 127.0.0.1:8080 --bucket archive --workers 16\n" +
			"  curl -d '{\"root\":\"1AbCdEf\",\"prefix\":\"2026\"}' 'http://127.0.0.1:8080/v1/migrations?wait=true'",
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.load(c); err != nil {
				return err
			}
			return s.runServe(c, listen)
		},
	}
	s.addSides(cmd.Flags())
	s.addWork(cmd.Flags())
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "address to listen on; port 0 chooses one")
	return cmd
}

func (s *settings) runServe(c *cobra.Command, listen string) error {
	check := s.copy
	check.Root = "root"
	if err := check.Validate(); err != nil {
		return exitcode.Usage(err)
	}
	e, err := wire.Open(c.Context(), s.wire)
	if err != nil {
		return exitcode.Usage(err)
	}
	defer e.Close()
	temporary := s.stateDir == ""
	if temporary {
		if s.stateDir, err = os.MkdirTemp("", "migrator-"); err != nil {
			return err
		}
		defer os.RemoveAll(s.stateDir)
	}
	s.copy.Stats = &migrator.Stats{}
	stopProfiles, err := s.profile()
	if err != nil {
		return exitcode.Usage(err)
	}
	defer stopProfiles()
	hard, cancel := hardStop(c.Context(), s.stopTimeout)
	defer cancel()
	v := &service{s: s, engine: e, hard: hard, stop: c.Context().Done(), jobs: map[string]*running{}}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return exitcode.Usage(err)
	}
	fmt.Fprintf(c.OutOrStdout(), "listening on http://%s\n", ln.Addr())
	srv := &http.Server{Handler: v.handler(), ReadHeaderTimeout: 30 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	select {
	case err := <-done:
		return err
	case <-c.Context().Done():
	}
	v.wait()
	ctx, cancel2 := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel2()
	return srv.Shutdown(ctx)
}

// service runs migrations. Those that ended are in the state directory alone: kept in memory they were 360 B for each,
// for as long as the process lives. Safe for concurrent use.
type service struct {
	s      *settings
	engine *wire.Engine
	hard   context.Context // ends work in progress
	stop   <-chan struct{} // ends taking more work

	mu    sync.Mutex
	jobs  map[string]*running // by id, until they end
	group sync.WaitGroup
}

// running is a job and its end. job and err may be read after done is closed.
type running struct {
	done chan struct{}
	job  job
	err  error
}

func (v *service) wait() { v.group.Wait() }

func (v *service) handler() http.Handler {
	m := monitored(v.s.copy.Stats)
	m.HandleFunc("POST /v1/migrations", v.post)
	m.HandleFunc("GET /v1/migrations/{id}", v.get)
	return m
}

// post starts a migration, or joins the one that is running for the same root and prefix.
func (v *service) post(w http.ResponseWriter, req *http.Request) {
	var in struct {
		Root   string `json:"root"`
		Prefix string `json:"prefix"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, req.Body, 64<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		replyError(w, http.StatusBadRequest,
			fmt.Errorf("body: %w; want {\"root\":\"<folder id>\",\"prefix\":\"<key prefix>\"}", err))
		return
	}
	cfg := v.s.copy
	cfg.Root, cfg.Prefix = in.Root, in.Prefix
	if err := cfg.Validate(); err != nil {
		replyError(w, http.StatusBadRequest, err)
		return
	}
	r, err := v.start(cfg)
	if err != nil {
		replyError(w, http.StatusServiceUnavailable, err)
		return
	}
	if wait, _ := strconv.ParseBool(req.URL.Query().Get("wait")); !wait {
		reply(w, http.StatusAccepted, map[string]string{"id": jobID(v.s, in.Root, in.Prefix), "state": "running"})
		return
	}
	select {
	case <-r.done:
	case <-req.Context().Done():
		return // the migration continues without the client that asked
	}
	switch {
	case r.err != nil:
		reply(w, http.StatusBadGateway, r.job)
	case r.job.Totals.Failed > 0:
		j := r.job
		j.Error = fmt.Sprintf("%d files weren't copied", j.Totals.Failed)
		reply(w, http.StatusInternalServerError, j)
	default:
		reply(w, http.StatusOK, r.job)
	}
}

var errStopping = errors.New("stopping: no new migrations")

func (v *service) start(cfg migrator.Config) (*running, error) {
	id := jobID(v.s, cfg.Root, cfg.Prefix)
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-v.stop:
		return nil, errStopping
	default:
	}
	if r := v.jobs[id]; r != nil {
		return r, nil
	}
	dir := filepath.Join(v.s.stateDir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	r := &running{done: make(chan struct{}), job: v.s.newJob(cfg.Root, cfg.Prefix)}
	v.jobs[id] = r
	v.group.Go(func() {
		defer close(r.done)
		r.job, r.err = runJob(v.hard, v.stop, dir, v.engine, cfg, r.job)
		if r.err != nil {
			fmt.Fprintln(os.Stderr, "migrator: "+foreign.Line(r.err.Error(), len("migrator: ")))
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.jobs, id)
	})
	return r, nil
}

func (v *service) get(w http.ResponseWriter, req *http.Request) {
	id := req.PathValue("id")
	v.mu.Lock()
	_, runs := v.jobs[id]
	v.mu.Unlock()
	if runs {
		reply(w, http.StatusOK, map[string]string{"id": id, "state": "running"})
		return
	}
	err := os.ErrNotExist
	var j job
	if raw, derr := hex.DecodeString(id); derr == nil && len(raw) == idBytes { // no path of another file
		j, err = readJob(filepath.Join(v.s.stateDir, id, jobFile))
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		replyError(w, http.StatusNotFound, fmt.Errorf("no migration %q", id))
	case err != nil:
		replyError(w, http.StatusInternalServerError, err)
	default:
		reply(w, http.StatusOK, j)
	}
}

func reply(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}

func replyError(w http.ResponseWriter, code int, err error) {
	reply(w, code, map[string]string{"error": err.Error()})
}
