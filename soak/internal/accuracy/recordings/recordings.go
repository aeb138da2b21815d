// Package recordings lists what real libraries do in a process that is recorded and never steered: known leaks, at a
// version with the bug and at the next one without, traps that people fall into, and look-alikes that are bounded.
// Package main in cmd records them live, and a test of the command soak judges the recordings.
//
// It is not for subjects that are steered: those are the specimens.
package recordings

import (
	"slices"
	"time"
)

// Kind is what a recording shows.
type Kind string

// The kinds.
const (
	Heap        Kind = "heap"        // memory that stays and becomes more
	Goroutines  Kind = "goroutines"  // goroutines that never end
	Connections Kind = "connections" // connections that are never given back
	Alike       Kind = "look-alike"  // bounded, whatever it looks like
)

// Recording is one scenario of the subject, of soak/recordings/subject, at one version of its library.
type Recording struct {
	Name     string // of the recording's files
	Scenario string
	Kind     Kind
	// Culprit is a part of the name of the function that has to be on the first screen.
	Culprit string
	// Module and Version replace what the subject requires; empty: as it requires.
	Module, Version string
	// Stop is when the load stops; 0: never.
	Stop time.Duration
	// For is how long it is recorded.
	For time.Duration
	// Fresh says that it belongs to the set for which no rule was tuned.
	Fresh bool
}

// How long recordings are, and when the load stops in those where it does.
const (
	Short      = 60 * time.Second
	Long       = 600 * time.Second
	stops      = 35 * time.Second
	longSuffix = "-600s"
)

// longs are the recordings that are made once more, for Long: those of which a minute says little, since they grow
// slowly or have not reached their bound, and one of each kind.
var longs = []string{"prometheus-labels", "opencensus-tags", "expvar-keys", "sessions-v1.1.1", "cron-stopped",
	"http-body",
	"alike-ristretto", "alike-gcache", "alike-sessions", "alike-batch"}

// All are the recordings, the long ones first.
func All() []Recording {
	short := shorts()
	var all []Recording
	for _, r := range short {
		if slices.Contains(longs, r.Name) {
			r.Name, r.Stop, r.For = r.Name+longSuffix, r.Stop*(Long/Short), Long
			all = append(all, r)
		}
	}
	all = append(all, short...)
	for _, r := range fresh {
		r.Scenario, r.For, r.Fresh = r.Name, Short, true
		r.Name = freshPrefix + r.Name
		all = append(all, r)
	}
	return all
}

// shorts are the recordings of a minute.
func shorts() []Recording {
	var all []Recording
	for _, h := range heaps {
		all = append(all, Recording{Name: h[0], Scenario: h[0], Kind: Heap, Culprit: h[1]})
	}
	for _, g := range routines {
		kind := Goroutines
		if g[0] == "http-body" {
			kind = Connections
		}
		all = append(all, Recording{Name: g[0], Scenario: g[0], Kind: kind, Culprit: g[1]},
			Recording{Name: g[0] + "-stopped", Scenario: g[0], Kind: kind, Culprit: g[1], Stop: stops})
	}
	for _, v := range versions {
		leaks, mended := v.Recording, v.Recording
		leaks.Name, leaks.Version = v.Scenario+"-"+v.leaking, v.leaking
		mended.Name, mended.Version = v.Scenario+"-"+v.mended, v.mended
		mended.Kind, mended.Culprit = Alike, ""
		all = append(all, leaks, mended)
	}
	for _, a := range alikes {
		all = append(all, Recording{Name: a, Scenario: a, Kind: Alike})
	}
	for i := range all {
		all[i].For = Short
	}
	return all
}

// versions are libraries at a version with a bug and at the next one without.
var versions = []struct {
	Recording
	leaking, mended string
}{
	{Recording{Scenario: "sessions", Kind: Heap, Culprit: "gorilla/context.Set", Module: "github.com/gorilla/sessions"},
		"v1.1.1", "v1.2.0"},
	{Recording{Scenario: "promhttp", Kind: Heap, Culprit: "prometheus.", Module: "github.com/prometheus/client_golang"},
		"v1.11.0", "v1.11.1"},
	{Recording{Scenario: "gocron-past", Kind: Heap, Culprit: "gocron/v2.", Module: "github.com/go-co-op/gocron/v2"},
		"v2.16.2", "v2.16.4"},
	{Recording{Scenario: "ants-release", Kind: Goroutines, Culprit: "ants/v2.", Module: "github.com/panjf2000/ants/v2"},
		"v2.7.0", "v2.7.1"},
	{Recording{Scenario: "memdb-watch", Kind: Goroutines, Culprit: "go-memdb.", Module: "github.com/hashicorp/go-memdb"},
		"v1.3.2", "v1.3.4"},
	{Recording{Scenario: "openai-retry", Kind: Connections, Culprit: "persistConn",
		Module: "github.com/openai/openai-go/v2"}, "v2.1.1", "v2.3.0"},
}

// heaps are scenarios whose live heap grows, with the function to name.
var heaps = [][2]string{
	{"gorilla-context", "gorilla/context.Set"},
	{"prometheus-labels", "client_golang/prometheus."},
	{"go-cache-forever", "goCacheForever"},
	{"rcrowley-meters", "rcrowley/go-metrics."},
	{"groupcache-lru", "groupcacheLRU"},
	{"opencensus-tags", "opencensus.io/"},
	{"x-net-trace", "x/net/trace."},
	{"victoria-metrics", "VictoriaMetrics/metrics."},
	{"ttlcache-not-started", "ttlcache"},
	{"cache2go", "cache2go"},
	{"infinite-channel", "infiniteChannel"},
	{"eventbus", "eventBus"},
	{"tcpassembly", "tcpassembly."},
	{"dataloader", "dataLoader"},
	{"armon-gauges", "armon/go-metrics."},
	{"go-kit-statsd", "go-kit/kit/"},
	{"context-children", "contextChildren"},
	{"expvar-keys", "expvarKeys"},
	{"concurrent-map", "concurrentMap"},
	{"prometheus-summary", "client_golang/prometheus."},
	{"websocket-configs", "websocketConfigs"},
}

// routines are scenarios that leave goroutines behind, with a function of theirs.
var routines = [][2]string{
	{"logrus-writer", "logrus."},
	{"cron", "cron/v3."},
	{"backoff-ticker", "backoff/v4."},
	{"bigcache", "bigcache"},
	{"expirable-lru", "expirable."},
	{"ccache", "ccache"},
	{"ants", "ants/v2."},
	{"workerpool", "workerpool."},
	{"cmap-iter", "concurrent-map."},
	{"set-iter", "golang-set."},
	{"ristretto", "ristretto."},
	{"pond", "pond."},
	{"http-body", "persistConn"},
	{"reverse-timeout", "timeoutSend"},
}

// alikes are bounded.
var alikes = []string{
	"alike-lru", "alike-expirable", "alike-freecache", "alike-fastcache", "alike-bigcache", "alike-ristretto",
	"alike-gcache",
	"alike-ttlcache", "alike-histograms", "alike-breaker", "alike-buffers", "alike-ants", "alike-pond", "alike-workerpool",
	"alike-prometheus", "alike-bitmaps", "alike-sessions", "alike-json", "alike-syncpool", "alike-batch",
	"alike-with-cancel",
}

// freshPrefix begins the names of the fresh set.
const freshPrefix = "fresh-"

// fresh was written, with its culprits, from issues of the libraries and before the rules were looked at. What they
// said of it first is in soak/recordings/fresh/README.md.
var fresh = []Recording{
	{Name: "tollbooth", Kind: Heap, Culprit: "tollbooth"},
	{Name: "tally", Kind: Heap, Culprit: "tally"},
	{Name: "workqueue-failures", Kind: Heap, Culprit: "workqueue."},
	{Name: "sql-statements", Kind: Heap, Culprit: "sqlStatements"},
	{Name: "signal-notify", Kind: Heap, Culprit: "signalNotify"},
	{Name: "multierror", Kind: Heap, Culprit: "multi"},
	{Name: "struct-types", Kind: Heap, Culprit: "structTypes"},
	{Name: "goja-globals", Kind: Heap, Culprit: "goja"},
	{Name: "raft-log", Kind: Heap, Culprit: "raft"},
	{Name: "lumberjack", Kind: Goroutines, Culprit: "lumberjack"},
	{Name: "sentry-clients", Kind: Goroutines, Culprit: "sentry-go."},
	{Name: "datadog-statsd", Kind: Goroutines, Culprit: "datadog-go/"},
	{Name: "zap-buffered", Kind: Goroutines, Culprit: "zapcore."},
	{Name: "grpc-client", Kind: Goroutines, Culprit: "grpc"},
	{Name: "workqueue", Kind: Goroutines, Culprit: "workqueue."},
	{Name: "influxdb-write", Kind: Goroutines, Culprit: "influxdb-client-go/"},
	{Name: "resty-new", Kind: Connections, Culprit: "persistConn"},
	{Name: "alike-janitors", Kind: Alike},
	{Name: "alike-buntdb", Kind: Alike},
	{Name: "alike-limiter", Kind: Alike},
	{Name: "alike-otter", Kind: Alike},
	{Name: "alike-lua", Kind: Alike},
	{Name: "alike-goja", Kind: Alike},
	{Name: "alike-zstd", Kind: Alike},
	{Name: "alike-arc", Kind: Alike},
	{Name: "alike-mux", Kind: Alike},
}

// Result is what a recording's verdict said beside the growth, which is judged from the reduced series.
type Result struct {
	Name string `json:"name"`
	// Headline and Classes are those of the verdict.
	Headline string   `json:"headline"`
	Classes  []string `json:"classes,omitempty"`
	Profiles int      `json:"profiles"`
	Floors   int      `json:"floors"`
	Module   string   `json:"module,omitempty"` // with its version
}

// The files of results, below the directory of the test that judges them.
const (
	Dir         = "soak/cmd/soak/testdata/recordings"
	ResultsFile = "results.json"
	Suffix      = ".json.gz"
)
