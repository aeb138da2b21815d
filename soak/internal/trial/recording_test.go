package trial

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/attach"
)

// TestTheLastProfileHasWhatNoCollectionHasSeen records a process that makes no collection by itself, and refuses the
// first that is forced, one that does, and one that is gone by the end.
func TestTheLastProfileHasWhatNoCollectionHasSeen(t *testing.T) {
	var canned bytes.Buffer
	require.NoError(t, pprof.WriteHeapProfile(&canned))
	for name, c := range map[string]struct {
		collects, gone bool
		forced         bool // the last profile is
	}{
		"between two collections": {false, false, true},
		"it collects by itself":   {true, false, false},
		"it is gone":              {false, true, false},
	} {
		var collections, asked atomic.Int64
		mux := http.NewServeMux()
		mux.HandleFunc("/debug/pprof/", func(w http.ResponseWriter, r *http.Request) {
			if r.FormValue("gc") != "" && asked.Add(1) == 1 {
				http.Error(w, "not now", http.StatusServiceUnavailable)
				return
			}
			if r.FormValue("gc") != "" || c.collects {
				collections.Add(1)
			}
			switch {
			case r.FormValue("debug") != "":
				fmt.Fprintf(w, "# HeapAlloc = 1000\n# NumGC = %d\n", collections.Load())
			case !strings.HasSuffix(r.URL.Path, "/"):
				_, _ = w.Write(canned.Bytes())
			}
		})
		srv := httptest.NewServer(mux)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		trial, err := Record(ctx, Recording{
			Dir: t.TempDir(), Target: &attach.Target{Pprof: srv.URL + "/debug/pprof", Done: done}, Every: time.Hour,
			OnSnapshot: func(record.Snapshot) {
				if cancel(); c.gone && collections.Load() == 0 {
					close(done)
				}
			},
		})
		cancel()
		srv.Close()
		require.NoError(t, err, name)
		n := len(trial.Snapshots)
		assert.Equal(t, c.forced, n == 2 && trial.Snapshots[1].ForcedGC > 0, "%s: %d snapshots", name, n)
		assert.Empty(t, trial.Warnings, name)
	}
}
