package main

import (
	"context"
	"expvar"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	armon "github.com/armon/go-metrics"
	eventbus "github.com/asaskevich/EventBus"
	"github.com/eapache/channels"
	kitlog "github.com/go-kit/kit/log"
	"github.com/go-kit/kit/metrics/statsd"
	"github.com/golang/groupcache/lru"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/tcpassembly"
	gorilla "github.com/gorilla/context"
	"github.com/graph-gophers/dataloader/v7"
	"github.com/jellydator/ttlcache/v3"
	"github.com/muesli/cache2go"
	cmap "github.com/orcaman/concurrent-map"
	gocache "github.com/patrickmn/go-cache"
	"github.com/prometheus/client_golang/prometheus"
	rcrowley "github.com/rcrowley/go-metrics"
	"go.opencensus.io/stats"
	"go.opencensus.io/stats/view"
	"go.opencensus.io/tag"
	"golang.org/x/net/trace"
	"golang.org/x/net/websocket"
)

// scenarios are all, by name.
var scenarios = map[string]scenario{
	"gorilla-context":      {200, gorillaContext},
	"prometheus-labels":    {200, prometheusLabels},
	"go-cache-forever":     {200, goCacheForever},
	"rcrowley-meters":      {300, rcrowleyMeters},
	"groupcache-lru":       {200, groupcacheLRU},
	"opencensus-tags":      {200, opencensusTags},
	"x-net-trace":          {200, netTrace},
	"victoria-metrics":     {300, victoriaMetrics},
	"ttlcache-not-started": {200, ttlcacheNotStarted},
	"cache2go":             {200, cache2goForever},
	"infinite-channel":     {400, infiniteChannel},
	"eventbus":             {200, eventBus},
	"tcpassembly":          {100, tcpAssembly},
	"dataloader":           {200, dataLoader},
	"armon-gauges":         {300, armonGauges},
	"go-kit-statsd":        {800, goKitStatsd},
	"context-children":     {400, contextChildren},
	"expvar-keys":          {400, expvarKeys},
	"concurrent-map":       {200, concurrentMap},
	"prometheus-summary":   {40, prometheusSummary},
	"websocket-configs":    {200, websocketConfigs},
}

// gorillaContext sets values for requests and never clears them, as handlers without ClearHandler did.
func gorillaContext() func(int) {
	return func(i int) {
		r := httptest.NewRequest(http.MethodGet, "/users/"+key(i), nil)
		gorilla.Set(r, "user", key(i))
	}
}

func prometheusLabels() func(int) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, []string{"user", "path"})
	return func(i int) { c.WithLabelValues(key(i), "/x/"+key(i)).Inc() }
}

func prometheusSummary() func(int) {
	s := prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: "seconds", Help: "h",
		Objectives: map[float64]float64{0.5: 0.05}}, []string{"user"})
	return func(i int) { s.WithLabelValues(key(i)).Observe(1) }
}

func goCacheForever() func(int) {
	c := gocache.New(gocache.NoExpiration, time.Minute)
	return func(i int) { c.Set(key(i), make([]byte, 600), gocache.NoExpiration) }
}

// rcrowleyMeters makes meters that the package's arbiter keeps until they are stopped.
func rcrowleyMeters() func(int) {
	return func(i int) { rcrowley.NewMeter().Mark(1) }
}

// groupcacheLRU has no bound: MaxEntries is 0.
func groupcacheLRU() func(int) {
	c := lru.New(0)
	return func(i int) { c.Add(key(i), make([]byte, 600)) }
}

func opencensusTags() func(int) {
	k := tag.MustNewKey("user")
	m := stats.Int64("requests", "h", "1")
	if err := view.Register(&view.View{Name: "v", Measure: m, TagKeys: []tag.Key{k}, Aggregation: view.Distribution(1, 2,
		4, 8, 16, 32, 64)}); err != nil {
		panic(err)
	}
	return func(i int) {
		_ = stats.RecordWithTags(context.Background(), []tag.Mutator{tag.Upsert(k, key(i))}, m.M(1))
	}
}

// netTrace makes event logs that are never finished.
func netTrace() func(int) {
	return func(i int) {
		l := trace.NewEventLog("conn", key(i))
		l.Printf("opened %d", i)
		l.Printf("state %d", i)
	}
}

func victoriaMetrics() func(int) {
	return func(i int) {
		metrics.GetOrCreateHistogram(`seconds{user="` + key(i) + `"}`).Update(float64(i%100) / 10)
	}
}

// ttlcacheNotStarted has items that expire and a cleaner that was never started.
func ttlcacheNotStarted() func(int) {
	c := ttlcache.New[string, []byte](ttlcache.WithTTL[string, []byte](time.Second))
	return func(i int) { c.Set(key(i), make([]byte, 512), ttlcache.DefaultTTL) }
}

func cache2goForever() func(int) {
	c := cache2go.Cache("sessions")
	return func(i int) { c.Add(key(i), 0, make([]byte, 512)) }
}

// infiniteChannel has a writer that is faster than its reader.
func infiniteChannel() func(int) {
	c := channels.NewInfiniteChannel()
	return func(i int) { c.In() <- make([]byte, 400) }
}

func eventBus() func(int) {
	bus := eventbus.New()
	return func(i int) {
		session := make([]byte, 600)
		_ = bus.Subscribe("changed", func() { session[0]++ })
	}
}

type nowhere struct{}

func (nowhere) New(_, _ gopacket.Flow) tcpassembly.Stream { return nowhere{} }
func (nowhere) Reassembled([]tcpassembly.Reassembly)      {}
func (nowhere) ReassemblyComplete()                       {}

// tcpAssembly sees flows with a gap and is never flushed.
func tcpAssembly() func(int) {
	a := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(nowhere{}))
	return func(i int) {
		flow := gopacket.NewFlow(layers.EndpointIPv4, []byte{10, byte(i >> 16), byte(i >> 8), byte(i)}, []byte{10, 0, 0, 1})
		t := &layers.TCP{SrcPort: 1024, DstPort: 80, Seq: 1000}
		t.Payload = make([]byte, 100)
		a.AssembleWithTimestamp(flow, t, time.Now())
	}
}

func dataLoader() func(int) {
	l := dataloader.NewBatchedLoader(func(_ context.Context, keys []string) []*dataloader.Result[[]byte] {
		out := make([]*dataloader.Result[[]byte], len(keys))
		for i := range out {
			out[i] = &dataloader.Result[[]byte]{Data: make([]byte, 512)}
		}
		return out
	}, dataloader.WithWait[string, []byte](time.Millisecond))
	return func(i int) { _, _ = l.Load(context.Background(), key(i))() }
}

func armonGauges() func(int) {
	sink := armon.NewInmemSink(time.Minute, time.Hour)
	m, err := armon.New(armon.DefaultConfig("x"), sink)
	if err != nil {
		panic(err)
	}
	return func(i int) { m.AddSample([]string{"user", key(i)}, float32(i)) }
}

// goKitStatsd observes and never sends.
func goKitStatsd() func(int) {
	h := statsd.New("x.", kitlog.NewNopLogger()).NewTiming("seconds", 1)
	return func(i int) {
		for k := range 16 {
			h.Observe(float64(k))
		}
	}
}

// contextChildren derives contexts from one that lives for ever and cancels none.
func contextChildren() func(int) {
	parent, stop := context.WithCancel(context.Background())
	_ = stop
	return func(i int) {
		ctx, cancel := context.WithCancel(context.WithValue(parent, scenario{}.perSecond, key(i)))
		_, _ = ctx, cancel
	}
}

func expvarKeys() func(int) {
	m := expvar.NewMap("users")
	return func(i int) { m.Add(key(i%1e6)+"-of-a-tenant-with-a-long-name", 1) }
}

func concurrentMap() func(int) {
	m := cmap.New()
	return func(i int) { m.Set(key(i), make([]byte, 600)) }
}

var configs []*websocket.Config

// websocketConfigs keeps a configuration per connection.
func websocketConfigs() func(int) {
	return func(i int) {
		c, err := websocket.NewConfig("ws://example.com/"+key(i), "http://example.com/")
		if err != nil {
			panic(err)
		}
		c.Header.Set("Cookie", key(i))
		configs = append(configs, c)
	}
}
