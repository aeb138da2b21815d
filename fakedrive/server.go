package fakedrive

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
	"github.com/memsoak/memsoak/fakedrive/internal/blob"
	"github.com/memsoak/memsoak/fakedrive/internal/pagetoken"
	"github.com/memsoak/memsoak/fakedrive/internal/store"
)

// Server is a Drive. It is an http.Handler, safe for concurrent use.
type Server struct {
	cfg     Config
	ctl     *control.Control
	store   *store.Store
	pages   *pagetoken.Codec
	tokens  *tokens
	blobs   *blob.Store
	handler http.Handler
	// sessions are the resumable uploads under way.
	sessions sessions
	scratch  string // a folder of contents that is removed by Close
}

// New makes a Server. The caller closes it.
func New(cfg Config) (*Server, error) {
	def := DefaultConfig()
	if cfg.Now == nil {
		cfg.Now = def.Now
	}
	if cfg.Log == nil {
		cfg.Log = def.Log
	}
	clock := cfg.Now
	cfg.Now = func() time.Time { return clock().UTC().Truncate(time.Millisecond) } // as fine as what clients are shown
	s := &Server{cfg: cfg}
	s.ctl = control.New(fault.Options{
		Points:    []fault.Point{fault.ListPage, fault.DownloadHeader, fault.DownloadBody},
		Ops:       ops(),
		Reasons:   reasonStatuses(),
		ErrorBody: plannedError,
		Log:       cfg.Log,
		Now:       cfg.Now,
	})
	if err := s.open(); err != nil {
		s.removeScratch()
		return nil, err
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	s.pages = pagetoken.New(secret, cfg.PageTokenTTL, cfg.Now)
	s.tokens = newTokens(secret, cfg.TokenTTL, cfg.Now)
	s.adminRoutes()
	s.handler = s.ctl.Wrap(s.routes())
	return s, nil
}

// open prepares the folder of contents and the store above it.
func (s *Server) open() (err error) {
	dir, memory := s.cfg.Dir, s.cfg.MaxMemory
	switch {
	case dir == "" && s.cfg.State:
		return errors.New("state needs a folder")
	case dir == "":
		dir = filepath.Join(os.TempDir(), "fakedrive-"+rand.Text()) // made when a content is too large for memory
		s.scratch = dir
	case !s.cfg.State:
		s.scratch = filepath.Join(dir, "contents")
	default:
		memory = 0 // contents to be kept have to be in files
	}
	if s.cfg.Dir != "" {
		if err := os.MkdirAll(filepath.Join(dir, "contents"), 0o700); err != nil {
			return fmt.Errorf("make a folder for contents: %w", err)
		}
	}
	s.blobs = blob.New(filepath.Join(dir, "contents"), memory, s.cfg.MaxDisk)
	s.store, err = store.New(store.Config{
		Control: s.ctl, Main: s.cfg.Corpus, Generation: s.cfg.Generation, Me: corpus.Account(), Now: s.cfg.Now,
		MaxFiles: s.cfg.MaxFiles, Blobs: s.blobs,
		ResourceKeys: s.cfg.ResourceKeys, AbusiveEvery: s.cfg.AbusiveEvery,
	})
	if err != nil {
		return err
	}
	for _, spec := range s.cfg.More {
		if _, err := s.store.AddTree(spec, s.cfg.Generation); err != nil {
			return err
		}
	}
	if s.cfg.State {
		return s.store.Open(filepath.Join(dir, "journal.ndjson"))
	}
	return nil
}

func (s *Server) removeScratch() {
	if s.scratch != "" {
		_ = os.RemoveAll(s.scratch) // what cannot be removed only wastes its space
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Control counts, holds and strikes; hand it the http.Servers that serve this Server ([control.Control.Watch]).
func (s *Server) Control() *control.Control { return s.ctl }

// Close releases what the Server holds. Requests must have ended.
func (s *Server) Close() error {
	s.sessions.closeAll()
	err := s.store.Close()
	s.removeScratch()
	return err
}

// AddRoot serves a tree below a root folder of its own, as the admin protocol's roots do.
func (s *Server) AddRoot(spec *corpus.Spec, generation uint64) (fault.Root, error) {
	t, err := s.store.AddTree(spec, generation)
	if err != nil {
		return fault.Root{}, fmt.Errorf("add a root: %w", err)
	}
	return fault.Root{ID: t.RootID, Files: t.Stats.Files, Folders: t.Stats.Folders, Bytes: t.Stats.Bytes,
		Largest: t.Stats.Largest}, nil
}
