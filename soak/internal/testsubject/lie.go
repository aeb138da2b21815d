package testsubject

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"os"
	"sync"
	"syscall"
)

// lies answers each page of pprof as it was at the first time that it was asked for.
type lies struct {
	mu    sync.Mutex
	pages map[string]*httptest.ResponseRecorder
}

func (l *lies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	page := l.pages[r.URL.String()]
	if page == nil {
		page = httptest.NewRecorder()
		pprof.Index(page, r)
		l.pages[r.URL.String()] = page
	}
	maps.Copy(w.Header(), page.Header())
	w.WriteHeader(page.Code)
	_, _ = w.Write(page.Body.Bytes())
}

// hidden is what a subject that lies keeps of each file.
var hidden struct {
	mu  sync.Mutex
	all [][]byte
}

const hiddenSize = 1 << 20

// hide keeps memory that is written to.
func hide() {
	b := make([]byte, hiddenSize)
	for i := range b {
		b[i] = 1
	}
	hidden.mu.Lock()
	defer hidden.mu.Unlock()
	hidden.all = append(hidden.all, b)
}

// mostFiles is the bound of open files of a subject that has none left.
const mostFiles = 128

// useUpFiles opens files until there is no descriptor left.
func useUpFiles() error {
	few := &syscall.Rlimit{Cur: mostFiles, Max: mostFiles}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, few); err != nil {
		return err
	}
	for {
		if _, err := os.Open(os.DevNull); err != nil {
			return nil
		}
	}
}
