package soak

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

func TestTheNumberOfWorkersBecomesASetting(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		n    string
		want []string
	}{
		{args: []string{"--workers=8", "--port=9"}, n: "8", want: []string{"--workers={{.workers}}", "--port=9"}},
		{args: []string{"-workers", "8"}, n: "8", want: []string{"-workers", "{{.workers}}"}},
		{args: []string{"--upload-workers=3"}, n: "3", want: []string{"--upload-workers={{.workers}}"}},
		{args: []string{"workers=8"}, want: []string{"workers=8"}},
		{args: []string{"--workers=8", "--upload-workers=3"}, want: []string{"--workers=8", "--upload-workers=3"}},
		{args: []string{"--workers=many"}, want: []string{"--workers=many"}},
		{args: []string{}, env: map[string]string{"APP_WORKERS": "4"}, n: "4", want: []string{}},
		{args: []string{"--workers"}, want: []string{"--workers"}},
	} {
		assert.Equal(t, c.n, workersSetting(c.args, c.env), "%q", c.want)
		assert.Equal(t, c.want, c.args)
		if c.env != nil {
			assert.Equal(t, map[string]string{"APP_WORKERS": "{{.workers}}"}, c.env)
		}
	}
}

// TestNoListenerOfSeveralIsGuessedToBeTheService guards against a load on the port of metrics and profiles.
func TestNoListenerOfSeveralIsGuessedToBeTheService(t *testing.T) {
	two := subject.Probed{Listens: []string{"127.0.0.1:1", "127.0.0.1:2"}, Pprof: "http://127.0.0.1:2/debug/pprof"}
	_, _, err := Draft{}.target(two, "./app")
	require.ErrorIs(t, err, ErrConfig)
	require.ErrorContains(t, err,
		"./app listens at 127.0.0.1:1 and 127.0.0.1:2, with its profiles at 127.0.0.1:2: say with --url")
	target, at, err := Draft{URL: "http://localhost:1/v1"}.target(two, "./app")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:1", at)
	assert.Equal(t, "http://{{.addr}}/v1", target.URL)
	_, at, err = Draft{}.target(subject.Probed{Listens: two.Listens[:1]}, "./app")
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1:1", at)
}

// TestAServiceMayHaveAnotherLoadThanRequestsOfMemsoaks has two listeners, of which a consumer needs none.
func TestAServiceMayHaveAnotherLoadThanRequestsOfMemsoaks(t *testing.T) {
	two := subject.Probed{Listens: []string{"127.0.0.1:1", "127.0.0.1:2"}, Pprof: "http://127.0.0.1:2/debug/pprof"}
	d := Draft{Command: []string{"./app"}, Consume: "q"}
	work, at, err := d.work(two)
	require.NoError(t, err)
	assert.Equal(t, &load.Spec{Consume: &load.Consume{Upstream: "q"}}, work)
	assert.Equal(t, "127.0.0.1:2", at)
	d = Draft{Command: []string{"./app"}, Load: []string{"ghz", "{{.addr}}"}}
	_, _, err = d.work(two)
	require.ErrorContains(t, err, "say with --url", "a load needs to know the service")
	d.URL = "http://127.0.0.1:1"
	work, at, err = d.work(two)
	require.NoError(t, err)
	assert.Equal(t, &load.Spec{Command: d.Load}, work)
	assert.Equal(t, "127.0.0.1:1", at)
	assert.Nil(t, d.ask(), "of a load command no request is known")

	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "k" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer srv.Close()
	for key, want := range map[string]string{"": "401 Unauthorized", "k": "200 OK"} {
		d := Draft{URL: srv.URL + "/{{.key}}", Headers: map[string]string{"X-Key": key}}
		assert.Equal(t, want, d.ask()(t.Context(), &http.Client{Transport: subject.OwnTransport()}))
	}
}

func TestACheckLooksAtProfilesBeforeRequestsThatMayNeverEnd(t *testing.T) {
	p, err := protocol.Parse([]byte(checkProtocol))
	require.NoError(t, err)
	assert.Equal(t, protocol.Idle, p.Phases[0].Kind)
}

func TestAServiceHasItsOwnProtocols(t *testing.T) {
	s := &subject.Spec{Name: "s", Command: []string{"s"}, Pprof: "http://{{.addr}}/debug/pprof",
		Load: &load.Spec{Targets: []load.Target{{URL: "http://{{.addr}}/"}}}}
	for asked, want := range map[string]string{"default": "service", "quick": "service-quick", "service": "service"} {
		c := DefaultConfig()
		c.Protocol = asked
		p, err := NewPlanFor(s, c, Shard{})
		require.NoError(t, err)
		assert.Equal(t, want, p.Protocol.Name)
	}
	c := DefaultConfig()
	c.Protocol = "many-files"
	_, err := NewPlanFor(s, c, Shard{})
	assert.ErrorContains(t, err, "s is a service: protocols default, quick, passive")
}
