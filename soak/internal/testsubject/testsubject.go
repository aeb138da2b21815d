// Package testsubject is a small subject for tests of the harness: it copies Drive to S3 with the specimens' engine,
// and it can misbehave in every way that a subject may. A test's binary becomes the subject when it is started with
// Variable set, so that nothing has to be built. It is not for measuring anything.
package testsubject

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// Variable selects a misbehaviour; "ok" is none.
const Variable = "MEMSOAK_TESTSUBJECT"

// The ways to behave.
const (
	OK         = "ok"
	Buffer     = "buffer"      // keeps each file whole while it copies it
	NeverReady = "never-ready" // listens nowhere
	DiesEarly  = "dies-early"
	Crash      = "crash"    // panics in its third wave
	Hang       = "hang"     // never answers its third wave
	Late       = "late"     // begins a wave half a second after the request for it
	Fork       = "fork"     // starts a child in a session of its own, which lives on
	NoTerm     = "no-term"  // ignores SIGTERM
	Flood      = "flood"    // writes to its log without end
	NoPprof    = "no-pprof" // closes pprof after its second wave
	Mute       = "mute"     // takes requests for profiles and answers none
	Trickle    = "trickle"  // sends a profile's bytes one by one, for ever
	Garbage    = "garbage"  // answers pprof and metrics with nonsense
	Bomb       = "bomb"     // answers pprof with 4 MiB that are 4 GiB unpacked
	Refuse     = "refuse"   // answers each wave with 500
	Once       = "once"     // a one-shot command
	Empty      = "empty"    // answers each wave with 200 and copies nothing
	Half       = "half"     // copies every second file and answers with 200
	Lie        = "lie"      // keeps 1 MiB of each file, and shows the profiles of its beginning for ever
	NoFiles    = "no-files" // has no descriptor left after its second wave
)

// Main is the subject; it is called from a TestMain and returns only when Variable is not set.
func Main() {
	mode := os.Getenv(Variable)
	if mode == "" {
		return
	}
	runs := run
	if strings.HasPrefix(mode, "service-") {
		runs = func(mode string, args []string) error { return serve(mode, args[0], args[1]) }
	}
	if err := runs(mode, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testsubject:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Spec is the subject file of a mode, for the running test binary.
func Spec(mode string) *subject.Spec {
	s := &subject.Spec{
		Name:    "test-" + mode,
		Command: []string{os.Args[0], "{{.addr}}", "{{.drive_url}}", "{{.s3_url}}", "{{.bucket}}", "{{.workers}}"},
		Env:     map[string]string{Variable: mode},
		Pprof:   "http://{{.addr}}/debug/pprof",
		Ready:   "http://{{.addr}}/ready",
		Wave: subject.Wave{Method: "POST", URL: "http://{{.addr}}/wave",
			Body: `{"root":"{{.root}}","prefix":"{{.prefix}}"}`},
		Module: "github.com/memsoak/memsoak",
	}
	if mode == Once {
		s.Command = append(s.Command, "{{.root}}", "{{.prefix}}")
		s.Wave = subject.Wave{Exit: true}
	}
	if mode == Garbage {
		s.Metrics = "http://{{.addr}}/metrics"
	}
	return s
}

type server struct {
	mode   string
	engine *copier.Engine

	lies lies

	mu    sync.Mutex
	waves int
}

func run(mode string, args []string) error {
	switch mode {
	case NeverReady:
		select {}
	case DiesEarly:
		return errors.New("no configuration: cannot start")
	case NoTerm:
		signal.Ignore(syscall.SIGTERM)
	case Flood:
		go func() {
			line := strings.Repeat("flood ", 200) + "\n"
			for {
				fmt.Print(line)
			}
		}()
	case Fork:
		child := exec.Command("sleep", "3600")
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			return err
		}
	}
	workers, err := strconv.Atoi(args[4])
	if err != nil {
		return err
	}
	engine, err := copier.New(copier.Config{Drive: args[1], S3: args[2], Bucket: args[3], Workers: workers, Discovery: 1,
		MaxIdlePerHost: workers, Attempts: 1}, hooks(mode))
	if err != nil {
		return err
	}
	s := &server{mode: mode, engine: engine, lies: lies{pages: map[string]*httptest.ResponseRecorder{}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /wave", s.wave)
	mux.HandleFunc("/debug/pprof/", s.pprof)
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "}{ not metrics \x00") })
	if mode == Once {
		go http.ListenAndServe(args[0], mux) //nolint:errcheck // a taken port shows as missing profiles
		time.Sleep(50 * time.Millisecond)
		_, err := engine.Run(context.Background(), args[5], args[6])
		return err
	}
	return http.ListenAndServe(args[0], mux)
}

func (s *server) pprof(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	waves := s.waves
	s.mu.Unlock()
	profile := r.URL.Path != "/debug/pprof/"
	switch {
	case s.mode == Mute && profile:
		<-r.Context().Done()
	case s.mode == Trickle && profile:
		for r.Context().Err() == nil {
			fmt.Fprint(w, "x")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(5 * time.Millisecond)
		}
	case s.mode == Bomb && profile:
		for range bombParts {
			_, _ = w.Write(bomb())
		}
	case s.mode == Lie:
		s.lies.ServeHTTP(w, r)
	case s.mode == Garbage:
		fmt.Fprint(w, "<html>this is no profile</html>")
	case s.mode == NoPprof && waves >= 2:
		http.NotFound(w, r)
	default:
		pprof.Index(w, r)
	}
}

func (s *server) wave(w http.ResponseWriter, r *http.Request) {
	var job struct{ Root, Prefix string }
	if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.waves++
	n := s.waves
	s.mu.Unlock()
	switch {
	case s.mode == Refuse:
		http.Error(w, "out of order", http.StatusInternalServerError)
		return
	case s.mode == Empty:
		return
	case s.mode == Crash && n == 3:
		go panic("a bug in the third wave")
		select {}
	case s.mode == Hang && n == 3:
		select {}
	case s.mode == NoFiles && n == 3:
		if err := useUpFiles(); err != nil {
			panic(err)
		}
	case s.mode == Late:
		time.Sleep(500 * time.Millisecond)
	}
	// The copy lasts as long as its files: a request that ends early doesn't end it.
	if _, err := s.engine.Run(context.WithoutCancel(r.Context()), job.Root, job.Prefix); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

// hooks are the misbehaviours of a mode while it copies.
func hooks(mode string) func(*copier.Engine) copier.Hooks {
	return func(e *copier.Engine) (h copier.Hooks) {
		switch mode {
		case Half:
			h.Page = func(p *copier.Page) {
				i := 0
				p.Files = slices.DeleteFunc(p.Files, func(copier.File) bool { i++; return i%2 == 0 })
			}
		case Buffer:
			h.Upload = func(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
				whole, err := io.ReadAll(body)
				if err != nil {
					return err
				}
				return e.Client().Upload(ctx, key, bytes.NewReader(whole), f.Size)
			}
		case Lie:
			h.Upload = func(ctx context.Context, _ *copier.Worker, f copier.File, key string, body io.Reader) error {
				hide()
				return e.Client().Upload(ctx, key, body, f.Size)
			}
		}
		return h
	}
}

// Build compiles the programs that tests need into dir and returns the paths of fakedrive and soak.
func Build(dir string) (fakedrive, soak string, err error) {
	cmd := exec.Command("go", "build", "-o", dir+"/", "github.com/memsoak/memsoak/fakedrive/cmd/fakedrive",
		"github.com/memsoak/memsoak/soak/cmd/soak")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", "", fmt.Errorf("build the fakes: %w: %s", err, out)
	}
	return dir + "/fakedrive", dir + "/soak", nil
}
