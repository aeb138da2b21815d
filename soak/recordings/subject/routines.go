package main

import (
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/alitto/pond"
	"github.com/allegro/bigcache/v3"
	"github.com/cenkalti/backoff/v4"
	mapset "github.com/deckarep/golang-set"
	"github.com/dgraph-io/ristretto"
	"github.com/gammazero/workerpool"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/karlseguin/ccache/v3"
	cmap "github.com/orcaman/concurrent-map"
	"github.com/panjf2000/ants/v2"
	"github.com/robfig/cron/v3"
	"github.com/sirupsen/logrus"
)

func init() {
	for name, op := range map[string]func(i int){
		"logrus-writer": func(int) { logrus.StandardLogger().Writer() },
		"cron": func(int) {
			c := cron.New()
			_, _ = c.AddFunc("@every 1h", func() {})
			c.Start()
		},
		"backoff-ticker":  func(int) { <-backoff.NewTicker(backoff.NewConstantBackOff(time.Hour)).C },
		"bigcache":        func(int) { newBigcache(time.Hour) },
		"expirable-lru":   func(int) { expirable.NewLRU[string, int](10, nil, time.Hour) },
		"ccache":          func(int) { ccache.New(ccache.Configure[int]()) },
		"ants":            func(int) { _, _ = ants.NewPool(4) },
		"workerpool":      func(int) { workerpool.New(2) },
		"cmap-iter":       cmapIter(),
		"set-iter":        setIter(),
		"ristretto":       func(int) { newRistretto(1 << 10) },
		"pond":            func(int) { pond.New(2, 4) },
		"http-body":       httpBody(),
		"reverse-timeout": timeoutSend(),
	} {
		scenarios[name] = scenario{5, func() func(int) { return op }}
	}
}

func newBigcache(window time.Duration) *bigcache.BigCache {
	c := bigcache.DefaultConfig(time.Hour)
	c.Shards, c.MaxEntriesInWindow, c.CleanWindow, c.HardMaxCacheSize, c.Verbose = 2, 10, window, 8, false
	b, err := bigcache.NewBigCache(c)
	if err != nil {
		panic(err)
	}
	return b
}

func newRistretto(cost int64) *ristretto.Cache {
	c, err := ristretto.NewCache(&ristretto.Config{NumCounters: 100, MaxCost: cost, BufferItems: 64})
	if err != nil {
		panic(err)
	}
	return c
}

// cmapIter leaves the loop early: the iterator's goroutine waits to send for ever.
func cmapIter() func(int) {
	m := cmap.New()
	for i := range 2000 {
		m.Set(key(i), i)
	}
	return func(int) {
		for range m.Iter() {
			break
		}
	}
}

func setIter() func(int) {
	s := mapset.NewSet()
	for i := range 100 {
		s.Add(i)
	}
	return func(int) {
		for range s.Iter() {
			break
		}
	}
}

// httpBody never closes the bodies of its replies.
func httpBody() func(int) {
	var url string
	return func(int) {
		if url == "" {
			url = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, 8<<10))
			})).URL
		}
		_, _ = http.Get(url)
	}
}

// timeoutSend gives up waiting for a reply that is sent later, on a channel without room.
func timeoutSend() func(int) {
	return func(int) {
		reply := make(chan []byte)
		go func() {
			time.Sleep(50 * time.Millisecond)
			reply <- make([]byte, 1024)
		}()
		select {
		case <-reply:
		case <-time.After(10 * time.Millisecond):
		}
	}
}
