package view

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report"
)

//go:embed assets
var assets embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"css":    func() template.CSS { return template.CSS(report.Style()) },
	"words":  func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "-", " ") },
	"bytes":  report.Bytes,
	"trials": func(n int) string { return units.Count(n, "trial") },
	"clock":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
}).ParseFS(assets, "assets/*.html"))

// Server serves runs. It is an http.Handler, safe for concurrent use.
type Server struct {
	dirs []string
	ui   *pprofUI
	mux  *http.ServeMux

	mu      sync.Mutex
	reports map[string]cached // by run name
}

// cached is a report's page at a state of its run.
type cached struct {
	state string
	page  []byte
}

// New returns a server for the runs in the given directories, each a run or a folder of runs. It is an error when
// there is none.
func New(dirs []string) (*Server, error) {
	found, err := findRuns(dirs)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no run in %s: a run's directory has a %s", strings.Join(dirs, ", "), record.RunFile)
	}
	closeAll(found)
	if err := anyReadable(found); err != nil {
		return nil, err
	}
	s := &Server{dirs: dirs, ui: newPprofUI(), mux: http.NewServeMux(), reports: map[string]cached{}}
	s.mux.HandleFunc("GET /{$}", s.index)
	s.mux.HandleFunc("GET /runs/{run}/{$}", s.withRun(s.report))
	s.mux.HandleFunc("GET /runs/{run}/state", s.withRun(s.state))
	s.mux.HandleFunc("GET /runs/{run}/files/{path...}", s.withRun(s.files))
	s.mux.HandleFunc("GET /pprof/{run}/{snap}/{page...}", s.pprof)
	s.mux.HandleFunc("GET /diff/{run}/{snap}/{baserun}/{basesnap}/{page...}", s.pprof)
	s.mux.HandleFunc("GET /compare", s.compare)
	s.mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter,
		_ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}) // pprof's pages ask
	return s, nil
}

func closeAll(runs []run) {
	for _, r := range runs {
		r.root.Close()
	}
}

// ServeHTTP implements http.Handler. Requests for any name but a loopback one are refused, so that a page elsewhere
// cannot read the runs by pointing a name of its own at this machine.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !loopback(r.Host) {
		http.Error(w, "this view answers to loopback names only", http.StatusForbidden)
		return
	}
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy",
		"default-src 'self' data: 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "+
			"form-action 'self'")
	s.mux.ServeHTTP(w, r)
}

// loopback reports whether a host, with or without a port, is this machine by a name that no other host can give.
func loopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Listen opens the listener of a view; addr must be a loopback address, except where published says that the view is in
// a container whose port is published to the loopback of its host. Names other than loopback's are refused all the
// same.
func Listen(ctx context.Context, addr string, published bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	if !loopback(host) && !published {
		return nil, fmt.Errorf("listen on %q: the view is for this machine only, give a loopback address (in a container: "+
			"--published)", addr)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", addr)
}

// Serve serves until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fail answers with an error's text: 404 for a missing file, 500 for a damaged one.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, errUnknown) || errors.Is(err, fs.ErrNotExist) {
		code = http.StatusNotFound
	}
	http.Error(w, err.Error(), code)
}

// find returns the run of a name. The caller closes its root.
func (s *Server) find(name string) (*run, error) {
	found, err := findRuns(s.dirs)
	if err != nil {
		return nil, err
	}
	var hit *run
	for _, r := range found {
		if r.Name == name && hit == nil {
			hit = &r
			continue
		}
		r.root.Close()
	}
	if hit == nil {
		return nil, errUnknown
	}
	return hit, nil
}

// withRun calls next with the run that the address names.
func (s *Server) withRun(next func(http.ResponseWriter, *http.Request, run)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		found, err := s.find(r.PathValue("run"))
		if err != nil {
			fail(w, err)
			return
		}
		defer found.root.Close()
		next(w, r, *found)
	}
}

func (s *Server) render(w http.ResponseWriter, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(b.Bytes())
}

// report serves the page of a run, made again when the run has changed.
func (s *Server) report(w http.ResponseWriter, r *http.Request, run run) {
	mark, _ := run.state()
	s.mu.Lock()
	c := s.reports[run.Name]
	s.mu.Unlock()
	if c.state != mark {
		loaded, err := report.Load(r.Context(), run.dir)
		if err != nil {
			fail(w, err)
			return
		}
		var b bytes.Buffer
		if err := report.HTML(r.Context(), &b, loaded, options(run, loaded, mark)); err != nil {
			fail(w, err)
			return
		}
		c = cached{state: mark, page: b.Bytes()}
		s.mu.Lock()
		s.reports[run.Name] = c
		s.mu.Unlock()
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(c.page)
}

// options are what a served report has more than a file: it follows the run, and leads into pprof.
func options(r run, loaded *report.Run, mark string) report.Options {
	cells := map[string]int{}
	for i, c := range loaded.Cells {
		cells[c.Dir] = i + 1
	}
	_, dotErr := exec.LookPath("dot")
	o := report.Options{Live: true, StateURL: "/runs/" + r.Name + "/state", State: mark, Home: "/"}
	o.SnapshotLinks = func(t *report.Trial, s record.Snapshot) []report.Link {
		cellDir, _, _ := strings.Cut(t.Dir, "/trial-")
		at := func(seq int, kind string) string { return key(cells[cellDir], t.Index, seq, kind) }
		var links []report.Link
		if s.Heap != "" {
			base := "/pprof/" + r.Name + "/" + at(s.Seq, record.HeapDir) + "/"
			links = append(links, report.Link{Text: "flame graph", URL: base + "flamegraph"}, report.Link{Text: "top",
				URL: base + "top"},
				report.Link{Text: "source", URL: base + "source?f=" + url.QueryEscape(t.Record.Subject.Module)})
			if dotErr == nil {
				links = append(links, report.Link{Text: "graph", URL: base + "graph"})
			}
			if first := firstFloor(t.Record); first != nil && first.Seq != s.Seq {
				links = append(links, report.Link{Text: fmt.Sprintf("growth since %d", first.Seq),
					URL: "/diff/" + r.Name + "/" + at(s.Seq, record.HeapDir) + "/" + r.Name + "/" + at(first.Seq, record.HeapDir) +
						"/flamegraph"})
			}
		}
		if s.Goroutine != "" {
			links = append(links, report.Link{Text: "goroutines", URL: "/pprof/" + r.Name + "/" + at(s.Seq, record.RoutineDir) +
				"/flamegraph"})
		}
		return links
	}
	return o
}

// firstFloor is what growth is measured from; nil when there is no floor with a profile.
func firstFloor(t *record.Trial) *record.Snapshot {
	for i, s := range t.Snapshots {
		if s.State == record.StateFloor && s.Heap != "" {
			return &t.Snapshots[i]
		}
	}
	return nil
}

func (s *Server) state(w http.ResponseWriter, _ *http.Request, run run) {
	mark, running := run.state()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"state": mark, "running": running})
}

// files serves the run's own files. Pages among them run in a sandbox: a run may come from anywhere.
func (s *Server) files(w http.ResponseWriter, r *http.Request, run run) {
	w.Header().Set("Content-Security-Policy", "sandbox allow-scripts; default-src 'unsafe-inline' data:")
	path := r.PathValue("path")
	if strings.HasSuffix(path, ".log") || strings.HasSuffix(path, ".jsonl") || strings.HasSuffix(path, ".md") {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	http.StripPrefix("/runs/"+run.Name+"/files", http.FileServerFS(run.root.FS())).ServeHTTP(w, r)
}

// pprof serves pprof's interface for a snapshot or for the difference of two.
func (s *Server) pprof(w http.ResponseWriter, r *http.Request) {
	var snaps [2]*snapshot
	for i, names := range [][2]string{{"run", "snap"}, {"baserun", "basesnap"}} {
		if r.PathValue(names[0]) == "" {
			continue
		}
		found, err := s.find(r.PathValue(names[0]))
		if err != nil {
			fail(w, err)
			return
		}
		defer found.root.Close()
		if snaps[i], err = found.lookup(r.PathValue(names[1])); err != nil {
			fail(w, err)
			return
		}
	}
	handlers, err := s.ui.handlers(snaps[0], snaps[1])
	if err != nil {
		fail(w, err)
		return
	}
	h := handlers["/"+r.PathValue("page")]
	if h == nil {
		fail(w, errUnknown)
		return
	}
	h.ServeHTTP(w, r)
}

// anyReadable says why not a single run can be read: among others a damaged one is shown as such.
func anyReadable(runs []run) (err error) {
	for _, r := range runs {
		if _, err = record.ReadRun(r.dir); err == nil {
			return nil
		}
	}
	return fmt.Errorf("no run that can be read: %w", err)
}
