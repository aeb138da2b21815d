package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/RoaringBitmap/roaring"
	"github.com/VictoriaMetrics/fastcache"
	"github.com/alitto/pond"
	"github.com/bluele/gcache"
	"github.com/caio/go-tdigest/v4"
	"github.com/coocood/freecache"
	"github.com/gammazero/workerpool"
	lru2 "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/jellydator/ttlcache/v3"
	"github.com/panjf2000/ants/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker"
	"github.com/valyala/bytebufferpool"
)

func init() {
	for name, s := range map[string]scenario{
		"alike-lru": {500, func() func(int) {
			c, _ := lru2.New[string, []byte](4000)
			return func(i int) { c.Add(key(i), make([]byte, 2048)) }
		}},
		"alike-expirable": {500, func() func(int) {
			c := expirable.NewLRU[string, []byte](3000, nil, 5*time.Second)
			return func(i int) { c.Add(key(i), make([]byte, 2048)) }
		}},
		"alike-freecache": {500, func() func(int) {
			c := freecache.NewCache(16 << 20)
			return func(i int) { _ = c.Set([]byte(key(i)), make([]byte, 2048), 0) }
		}},
		"alike-fastcache": {500, func() func(int) {
			c := fastcache.New(32 << 20)
			return func(i int) { c.Set([]byte(key(i)), make([]byte, 2048)) }
		}},
		"alike-bigcache": {500, func() func(int) {
			c := newBigcache(time.Second)
			return func(i int) { _ = c.Set(key(i), make([]byte, 2048)) }
		}},
		"alike-ristretto": {500, func() func(int) {
			c := newRistretto(8 << 20)
			return func(i int) { c.Set(key(i), make([]byte, 2048), 2048) }
		}},
		"alike-gcache": {500, func() func(int) {
			c := gcache.New(4000).LRU().Build()
			return func(i int) { _ = c.Set(key(i), make([]byte, 2048)) }
		}},
		"alike-ttlcache":   {300, ttlcacheStarted},
		"alike-histograms": {500, histograms},
		"alike-breaker":    {500, breaker},
		"alike-buffers":    {500, buffers},
		"alike-ants":       {200, antsPool},
		"alike-pond":       {200, func() func(int) { p := pond.New(64, 1000); return func(i int) { p.Submit(work) } }},
		"alike-workerpool": {200, func() func(int) { p := workerpool.New(50); return func(i int) { p.Submit(work) } }},
		"alike-prometheus": {500, prometheusBounded},
		"alike-bitmaps":    {20, bitmaps},
		"alike-sessions":   {500, sessionTable},
		"alike-json":       {300, jsonDocuments},
		"alike-syncpool":   {300, syncPool},
		"alike-batch":      {100, batches},
		"alike-with-cancel": {300, func() func(int) {
			return func(i int) { _, c := context.WithTimeout(context.Background(), time.Second); c() }
		}},
	} {
		scenarios[name] = s
	}
}

// work holds a buffer for a while.
func work() {
	b := make([]byte, 32<<10)
	time.Sleep(time.Duration(50+rand.IntN(100)) * time.Millisecond)
	b[0] = 1
}

func ttlcacheStarted() func(int) {
	c := ttlcache.New[string, []byte](ttlcache.WithTTL[string, []byte](4 * time.Second))
	go c.Start()
	return func(i int) { c.Set(key(i), make([]byte, 2048), ttlcache.DefaultTTL) }
}

func histograms() func(int) {
	h := hdrhistogram.New(1, 10_000_000, 3)
	d, _ := tdigest.New()
	return func(i int) {
		_ = h.RecordValue(int64(i%1_000_000 + 1))
		_ = d.Add(rand.Float64())
	}
}

func breaker() func(int) {
	b := gobreaker.NewCircuitBreaker(gobreaker.Settings{Name: "x"})
	return func(i int) { _, _ = b.Execute(func() (any, error) { return make([]byte, 4096), nil }) }
}

func buffers() func(int) {
	return func(i int) {
		b := bytebufferpool.Get()
		_, _ = b.Write(make([]byte, 1+rand.IntN(64<<10)))
		bytebufferpool.Put(b)
	}
}

func antsPool() func(int) {
	p, _ := ants.NewPool(100)
	return func(i int) { _ = p.Submit(work) }
}

func prometheusBounded() func(int) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, []string{"user"})
	return func(i int) { c.WithLabelValues(key(i % 2000)).Inc() }
}

var bitmap *roaring.Bitmap

func bitmaps() func(int) {
	return func(i int) {
		b := roaring.New()
		for range 20000 {
			b.Add(rand.Uint32N(1 << 24))
		}
		bitmap = b
	}
}

func sessionTable() func(int) {
	var m sync.Map
	return func(i int) {
		m.Store(i, make([]byte, 2048))
		m.Delete(i - 2000)
	}
}

func jsonDocuments() func(int) {
	return func(i int) {
		var v any
		var b bytes.Buffer
		_ = json.NewEncoder(&b).Encode(make([]int, 500))
		_ = json.Unmarshal(b.Bytes(), &v)
	}
}

func syncPool() func(int) {
	p := sync.Pool{New: func() any { return make([]byte, 64<<10) }}
	return func(i int) {
		b := p.Get().([]byte)
		go func() {
			time.Sleep(20 * time.Millisecond)
			p.Put(b)
		}()
	}
}

// batches gathers for five seconds and lets go.
func batches() func(int) {
	var batch [][]byte
	return func(i int) {
		batch = append(batch, make([]byte, 16<<10))
		if len(batch) == 500 {
			batch = nil
		}
	}
}
