package fakedrive

import (
	"crypto/rand"
	"fmt"
	"net/http"

	"memsoak/fakedrive/corpus"
	"memsoak/fakedrive/fault"
	"memsoak/fakedrive/internal/pagetoken"
	"memsoak/fakedrive/internal/resource"
	"memsoak/fakedrive/internal/store"
)

// Server is a Drive. It is an http.Handler, safe for concurrent use.
type Server struct {
	cfg     Config
	ctl     *fault.Control
	store   *store.Store
	pages   *pagetoken.Codec
	tokens  *tokens
	handler http.Handler
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
	s := &Server{cfg: cfg}
	s.ctl = fault.NewControl(fault.Options{
		Points:    []fault.Point{fault.ListPage, fault.DownloadHeader, fault.DownloadBody},
		Ops:       ops(),
		Reasons:   reasonStatuses(),
		ErrorBody: plannedError,
		Log:       cfg.Log,
		Now:       cfg.Now,
	})
	var err error
	s.store, err = store.New(store.Config{
		Control: s.ctl, Main: cfg.Corpus, Generation: cfg.Generation, Me: defaultUser, Now: cfg.Now,
	})
	if err != nil {
		return nil, err
	}
	for _, spec := range cfg.More {
		if _, err := s.store.AddTree(spec, cfg.Generation); err != nil {
			return nil, err
		}
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	s.pages = pagetoken.New(secret, cfg.PageTokenTTL, cfg.Now)
	s.tokens = newTokens(secret, cfg.TokenTTL, cfg.Now)
	s.adminRoutes()
	s.handler = s.ctl.Wrap(s.routes())
	return s, nil
}

// defaultUser owns a Drive without a corpus.
var defaultUser = resource.User{Name: "Sam Soak", Email: "sam@example.com", PermissionID: "01234567890123456789", Me: true}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Control counts, holds and strikes; hand it the http.Servers that serve this Server ([fault.Control.Watch]).
func (s *Server) Control() *fault.Control { return s.ctl }

// Close releases what the Server holds. Requests must have ended.
func (s *Server) Close() error { return nil }

// AddRoot serves a tree below a root folder of its own, as the admin protocol's roots do.
func (s *Server) AddRoot(spec *corpus.Spec, generation uint64) (fault.Root, error) {
	t, err := s.store.AddTree(spec, generation)
	if err != nil {
		return fault.Root{}, fmt.Errorf("add a root: %w", err)
	}
	return fault.Root{ID: t.RootID, Files: t.Stats.Files, Folders: t.Stats.Folders, Bytes: t.Stats.Bytes, Largest: t.Stats.Largest}, nil
}
