package all_test

import (
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/specimens/all"
	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// TestMain makes the heap profile exact. Nothing that the tests measure is allocated before.
func TestMain(m *testing.M) {
	runtime.MemProfileRate = 1
	os.Exit(m.Run())
}

const specimens = "github.com/memsoak/memsoak/soak/specimens/"

// place is where an allocation is blamed: the first frame of a specimen from the leaf.
type place struct {
	function string // as a person would say it: without type arguments and closures
	file     string // below soak/specimens
	line     int
}

// live are the live bytes by place, as of two collections; the zero place has what no specimen's frame is in.
func live() map[place]int64 {
	runtime.GC()
	runtime.GC()
	var records []runtime.MemProfileRecord
	n, _ := runtime.MemProfile(nil, false)
	for {
		records = make([]runtime.MemProfileRecord, n+64)
		var ok bool
		if n, ok = runtime.MemProfile(records, false); ok {
			records = records[:n]
			break
		}
	}
	m := map[place]int64{}
	for i := range records {
		p, test := blame(records[i].Stack())
		if !test {
			m[p] += records[i].InUseBytes()
		}
	}
	return m
}

// blame names a stack's place, and says whether it belongs to the tests. Shared helpers are never to blame.
func blame(stack []uintptr) (p place, test bool) {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "/all_test.") || strings.HasPrefix(f.Function, "runtime.MemProfile") {
			test = true
		}
		ours := strings.HasPrefix(f.Function, specimens) && !strings.Contains(f.Function, "/all_test.")
		if p == (place{}) && ours && !strings.HasPrefix(f.Function, specimens+"handy.") {
			_, file, _ := strings.Cut(f.File, "soak/specimens/")
			p = place{function: said(f.Function), file: file, line: f.Line}
		}
		if !more {
			return p, test && p == (place{})
		}
	}
}

var closure = regexp.MustCompile(`\.func\d+(\.\d+)*$`)

// said is a function's name as the truth has it.
func said(function string) string {
	name := strings.ReplaceAll(strings.TrimPrefix(function, specimens), "[...]", "")
	return closure.ReplaceAllString(name, "")
}

// grown are the places that grew by more than nothing.
func grown(before, after map[place]int64) map[place]int64 {
	d := map[place]int64{}
	for p, b := range after {
		if g := b - before[p]; g > 0 {
			d[p] = g
		}
	}
	return d
}

func inFunction(m map[place]int64, function string) (sum int64) {
	for p, b := range m {
		if p.function == function {
			sum += b
		}
	}
	return sum
}

// lab is a specimen over a double.
type lab struct {
	t          *testing.T
	d          *double
	e          specimen.Engine
	generation int
}

const (
	labWorkers = 4
	labPage    = 64
)

func newLab(t *testing.T, name string, h2 bool) *lab {
	d := newDouble(t, h2)
	cfg := copier.DefaultConfig()
	cfg.Drive, cfg.S3, cfg.Bucket, cfg.Workers = d.srv.URL, d.srv.URL, "bucket", labWorkers
	cfg.TempDir = t.TempDir()
	if h2 {
		cfg.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.srv.Certificate().Raw})
		require.NoError(t, os.WriteFile(cfg.CAFile, block, 0o600))
	}
	e, err := all.Specimens().New(name, cfg)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return &lab{t: t, d: d, e: e}
}

// root is a fresh tree.
func (l *lab) root(size, files int) string {
	l.generation++
	return fmt.Sprintf("%d-%d-%d-g%d", size, files, labPage, l.generation)
}

// wave copies a tree and brings the engine to its floor.
func (l *lab) wave(root string) {
	l.t.Helper()
	stats, err := l.e.Run(l.t.Context(), root, "prefix")
	require.NoError(l.t, err)
	require.EqualValues(l.t, parse(root).files, stats.Files)
	l.closeIdle()
}

// closeIdle has the engine drop its idle connections, as a floor does.
func (l *lab) closeIdle() {
	if e, ok := l.e.(*copier.Engine); ok {
		e.Client().Transport.CloseIdleConnections()
	}
}

// held runs a wave of a fresh tree that is held at p until arrived transfers are there, calls measure, and ends it.
func (l *lab) held(p holdPoint, arrived, size, files int, measure func()) {
	l.t.Helper()
	l.d.setHold(p)
	done := make(chan error, 1)
	go func() {
		_, err := l.e.Run(l.t.Context(), l.root(size, files), "prefix")
		done <- err
	}()
	l.d.waitArrived(l.t, arrived)
	if p == holdDownload {
		l.settle(func() int64 { return l.d.listed.Load() })
	}
	measure()
	l.d.release()
	require.NoError(l.t, <-done)
	l.closeIdle()
}

// settle waits until a counter has not changed for a while.
func (l *lab) settle(counter func() int64) {
	last, since := counter(), time.Now()
	require.Eventually(l.t, func() bool {
		if n := counter(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 60*time.Millisecond
	}, 20*time.Second, 5*time.Millisecond)
}
