package pyroscope

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/drawn"
)

// server answers requests without a network.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}
}

// mute never answers.
func mute(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// after answers the first question, for the profiles already there, and then does something else.
func after(do server) server {
	return func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "LabelValues") {
			return answer(200, `{"names":[]}`), nil
		}
		return do(r)
	}
}

// TestPushSaysWhyItWaitsAndEnds: whatever a server does, a push that comes to nothing names the reason within ten
// seconds and ends.
func TestPushSaysWhyItWaitsAndEnds(t *testing.T) {
	refused := func(*http.Request) (*http.Response, error) {
		return nil, errors.New("connect: connection refused")
	}
	busy := func(*http.Request) (*http.Response, error) { return answer(503, "come back later"), nil }
	limited := func(*http.Request) (*http.Response, error) {
		a := answer(429, "slow down")
		a.Header.Set("Retry-After", "86400")
		return a, nil
	}
	dir := filepath.Join(t.TempDir(), "run")
	_, err := drawn.Write(dir, drawn.Options{Start: start, Axes: drawn.Small()})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		do    server
		names string // the reason, in the first and the last message
		most  time.Duration
	}{
		"refused":              {refused, "connection refused", time.Second},
		"mute":                 {mute, "", time.Minute},
		"503":                  {busy, "503: come back later", time.Second},
		"refused in the midst": {after(refused), "connection refused", giveUp + sayAfter},
		"mute in the midst":    {after(mute), "", giveUp + sayAfter},
		"503 in the midst":     {after(busy), "503: come back later", giveUp + sayAfter},
		"429 for a day":        {after(limited), "429: slow down", giveUp + sayAfter},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(filepath.Join(dir, JournalFile)) // of the one before
			synctest.Test(t, func(t *testing.T) {
				client, err := NewClient("http://user:secret@pyroscope.example:4040")
				require.NoError(t, err)
				client.http.Transport = c.do
				p, err := NewPusher(client, dir, Shown{})
				require.NoError(t, err)
				defer p.Close()
				began := time.Now()
				var said []string
				var first time.Duration
				p.Waiting = func(reason string) {
					if said = append(said, reason); first == 0 {
						first = time.Since(began)
					}
				}
				err = p.Run(t.Context())
				require.Error(t, err)
				took := time.Since(began)
				assert.LessOrEqual(t, took, c.most)
				assert.Contains(t, err.Error(), c.names)
				if took <= sayAfter {
					return
				}
				assert.Equal(t, sayAfter, first)
				assert.Contains(t, said[0],
					"waiting for Pyroscope at http://user:xxxxx@pyroscope.example:4040, nothing moved for 10s: ")
				assert.Contains(t, said[0], c.names)
				assert.LessOrEqual(t, len(said), 1+int(giveUp/sayAgain))
			})
		})
	}
}
