package subject

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const polled = `
name: jobs
command: ["jobs", "--listen={{.addr}}"]
pprof: "http://{{.addr}}/debug/pprof"
wave:
  start: {method: POST, url: "http://{{.addr}}/jobs", body: "{{.root}}"}
  poll: {url: "http://{{.addr}}/jobs/{{.reply.id}}", until: '"state":"done"', failed: '"state":"failed"', every: 1ms}
`

// jobs answers a start with an id, and a poll with each of the states in turn.
func jobs(t *testing.T, states ...string) (*Process, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /jobs", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w,
			`{"id": 9007199254740993}`)
	})
	mux.HandleFunc("GET /jobs/9007199254740993", func(w http.ResponseWriter, _ *http.Request) {
		n := min(asked.Add(1), int64(len(states)))
		if states[n-1] == "500" {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, `{"state":%q}`, states[n-1])
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	s, err := Parse([]byte(polled))
	require.NoError(t, err)
	return &Process{Spec: s, client: srv.Client(), values: map[string]string{"addr": strings.TrimPrefix(srv.URL,
		"http://")}}, asked
}

func TestAWaveEndsWhenThePollSaysSo(t *testing.T) {
	p, asked := jobs(t, "queued", "running", "done")
	require.NoError(t, p.Wave(t.Context(), "r", ""))
	assert.EqualValues(t, 3, asked.Load())
}

func TestAFailedJobIsAFailedWaveWithItsReason(t *testing.T) {
	p, _ := jobs(t, "running", "failed")
	assert.ErrorContains(t, p.Wave(t.Context(), "r", ""), `says that the work failed: {"state":"failed"}`)
	p, _ = jobs(t, "running", "500")
	assert.ErrorContains(t, p.Wave(t.Context(), "r", ""), "500 Internal Server Error")
}

func TestAJobThatNeverEndsIsGivenUpWithTheReason(t *testing.T) {
	p, asked := jobs(t, "running")
	patience := errors.New("no patience left")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- p.Wave(ctx, "r", "") }()
	require.Eventually(t, func() bool { return asked.Load() > 2 }, time.Minute, time.Millisecond)
	cancel(patience)
	assert.Error(t, <-done)
}

func TestAPollIsCheckedBeforeTheRun(t *testing.T) {
	for want, change := range map[string][2]string{
		"wave.poll needs a url and until": {`until: '"state":"done"', `, ""},
		"wave.poll.until":                 {`'"state":"done"'`, "'('"},
	} {
		_, err := Parse([]byte(strings.Replace(polled, change[0], change[1], 1)))
		require.ErrorIs(t, err, ErrInvalid)
		assert.ErrorContains(t, err, want)
	}
}
