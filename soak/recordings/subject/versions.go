package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/gorilla/sessions"
	"github.com/hashicorp/go-memdb"
	"github.com/openai/openai-go/v2"
	"github.com/openai/openai-go/v2/option"
	"github.com/panjf2000/ants/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// These are right uses of libraries that leaked at one version and don't at the next.
func init() {
	for name, s := range map[string]scenario{
		"sessions":     {300, cookieSessions},
		"promhttp":     {400, inventedMethods},
		"ants-release": {5, releasedPools},
		"memdb-watch":  {5, watchedChannels},
		"gocron-past":  {300, refusedJobs},
		"openai-retry": {3, retriedRequests},
	} {
		scenarios[name] = s
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func cookieSessions() func(int) {
	store := sessions.NewCookieStore([]byte("0123456789abcdef"))
	return func(int) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		s, _ := store.Get(r, "name")
		s.Values["x"] = 1
		_ = s.Save(r, httptest.NewRecorder())
	}
}

// inventedMethods has clients that send methods of their own.
func inventedMethods() func(int) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, []string{"method", "code"})
	h := promhttp.InstrumentHandlerCounter(c, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return func(i int) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method = "METHOD-" + key(i)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

func releasedPools() func(int) {
	return func(int) { must(ants.NewPool(10)).Release() }
}

// watchedChannels watches more channels than one goroutine takes.
func watchedChannels() func(int) {
	return func(int) {
		ws := memdb.NewWatchSet()
		for range 64 {
			ws.Add(make(chan struct{}))
		}
		done := make(chan struct{})
		close(done)
		ws.Add(done)
		_ = ws.WatchCtx(context.Background())
	}
}

// refusedJobs are to run in the past.
func refusedJobs() func(int) {
	s := must(gocron.NewScheduler())
	return func(int) {
		past := gocron.OneTimeJob(gocron.OneTimeJobStartDateTime(time.Now().Add(-time.Hour)))
		_, _ = s.NewJob(past, gocron.NewTask(func() {}))
	}
}

// retriedRequests are answered by a service that always fails, with a body that is never read.
func retriedRequests() func(int) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	client := openai.NewClient(option.WithBaseURL(srv.URL), option.WithAPIKey("key"), option.WithMaxRetries(1))
	return func(int) { _, _ = client.Models.Get(context.Background(), "m") }
}
