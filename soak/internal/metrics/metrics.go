// Package metrics exports a run's progress to Prometheus while it runs: soak_* gauges per cell, fed by the runner's
// events. It keeps no history and carries no run's id, so that a server which scrapes many runs keeps few series.
package metrics

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/pyroscope"
)

// cellLabels are the labels of every series of a cell.
var cellLabels = []string{"cell", "workers", "gomemlimit", "gogc", "pool"}

// cutShort is the outcome of a trial that a person ended, and outcomes are all of them.
const cutShort = "cut-short"

var outcomes = []string{string(record.OK), string(record.OOMKilled), string(record.Crashed), string(record.WaveFailed),
	string(record.Timeout), cutShort}

// Exporter turns events into metrics. Its Event is safe for concurrent use.
type Exporter struct {
	reg *prometheus.Registry

	began, phase, headline          *prometheus.GaugeVec
	trials                          *prometheus.GaugeVec
	ended                           *prometheus.CounterVec
	limit, estimate                 prometheus.Gauge
	running, rss, anon, cgroup      *prometheus.GaugeVec
	heap, goroutines, gcCPU         *prometheus.GaugeVec
	inFlight, backlog, files, conns *prometheus.GaugeVec
	peak, peakRSS, peakHeap         *prometheus.GaugeVec
	floor, floorNum, floorFiles     *prometheus.GaugeVec
	rate                            *prometheus.GaugeVec

	mu       sync.Mutex
	settings map[string]map[string]string // by cell: what its axes leave open
	// gone are the cells whose trial has ended: what it used goes with the next scrape, which still sees it.
	gone    map[string]bool
	watched bool               // a scrape has begun
	seen    context.CancelFunc // called by scrapes that begin once the run has ended
}

// New returns an exporter without data.
func New() *Exporter {
	e := &Exporter{reg: prometheus.NewRegistry(), settings: map[string]map[string]string{}, gone: map[string]bool{}}
	e.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	vec := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		e.reg.MustRegister(v)
		return v
	}
	cell := func(name, help string, more ...string) *prometheus.GaugeVec {
		return vec(name, help, append(append([]string{}, cellLabels...), more...)...)
	}
	one := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		e.reg.MustRegister(g)
		return g
	}
	e.began = vec("soak_run_start_timestamp_seconds", "When the run under way began, in Unix time.",
		"subject", "corpus", "design", "protocol", "isolation")
	e.trials = vec("soak_trials", "Trials of the run under way.", "state")
	e.ended = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "soak_trials_ended_total",
		Help: "Trials that have ended, by outcome."}, []string{"outcome"})
	e.reg.MustRegister(e.ended)
	for _, o := range outcomes { // a counter that began at 1 has no increase
		e.ended.WithLabelValues(o)
	}
	e.limit = one("soak_memory_limit_bytes", "Memory limit of the subjects, 0 for none.")
	e.estimate = one("soak_run_estimate_seconds", "Estimated time of the whole run.")
	e.running = cell("soak_trial_running", "1 while a trial of the cell runs.", "kind")
	e.phase = cell("soak_phase_info", "The phase of the cell's trial: 1.", "phase", "kind")
	e.rss = cell("soak_rss_bytes", "Resident size of the subject.")
	e.anon = cell("soak_anon_bytes", "Resident anonymous memory of the subject.")
	e.cgroup = cell("soak_cgroup_bytes", "Memory charged to the subject's cgroup.")
	e.heap = cell("soak_heap_bytes", "Go heap in use by the subject.")
	e.goroutines = cell("soak_goroutines", "Goroutines of the subject.")
	e.gcCPU = cell("soak_gc_cpu_ratio", "Share of the subject's CPU time spent in the collector since its start.")
	e.inFlight = cell("soak_in_flight_files", "Transfers that have begun and not ended.")
	e.backlog = cell("soak_backlog_files", "Files listed and not yet downloaded.")
	e.files = cell("soak_done_files", "Files copied in the cell's trial.")
	e.conns = cell("soak_open_connections", "Connections of the subject to the fakes.")
	e.peak = cell("soak_peak_bytes",
		"Highest memory of the cell's trials: charged to the cgroup without pages of files, or else resident.")
	e.peakRSS = cell("soak_peak_rss_bytes", "Highest resident size of the cell's trials.")
	e.peakHeap = cell("soak_peak_live_heap_bytes", "Highest live heap of the cell's trials.")
	e.floor = cell("soak_floor_heap_bytes", "Live heap at the last floor.")
	e.floorNum = cell("soak_floors", "Floors so far in the cell's trial.")
	e.floorFiles = cell("soak_floor_files", "Files copied at the last floor.")
	e.rate = cell("soak_files_per_second", "Files a second of the cell's last speed trial.")
	e.headline = cell("soak_headline_timestamp_seconds", "When the cell's verdict in a word was given, in Unix time.",
		"headline")
	return e
}

// labels are the values of cellLabels: the cell's axes, else the settings that its trials have.
func (e *Exporter) labels(c record.Cell, more ...string) []string {
	out := []string{pyroscope.CellLabel(c)}
	for _, name := range cellLabels[1:] {
		v, ok := c[name]
		if !ok {
			v = e.settings[c.String()][name]
		}
		out = append(out, v)
	}
	return append(out, more...)
}

// Event brings an event into the metrics.
func (e *Exporter) Event(ev soak.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch ev := ev.(type) {
	case soak.RunStarted:
		e.began.Reset()
		e.began.WithLabelValues(ev.Subject, ev.Corpus, string(ev.Design), ev.Protocol, ev.Isolated).SetToCurrentTime()
		e.trials.WithLabelValues("planned").Set(float64(ev.Trials))
		e.trials.WithLabelValues("ended").Set(float64(ev.Done))
		e.limit.Set(float64(ev.Limit))
		e.estimate.Set(ev.Estimate.Seconds())
		if ev.Plan != nil {
			for _, s := range ev.Plan.Trials {
				e.settings[s.Cell.String()] = s.Settings
			}
		}
	case soak.TrialStarted:
		delete(e.gone, pyroscope.CellLabel(ev.Cell))
		e.running.Reset()
		e.running.WithLabelValues(e.labels(ev.Cell, string(ev.Kind))...).Set(1)
		e.floorNum.WithLabelValues(e.labels(ev.Cell)...).Set(0)
	case soak.PhaseChanged:
		e.phaseChanged(ev)
	case soak.Sampled:
		e.sampled(ev)
	case soak.Snapped:
		e.snapped(ev)
	case soak.TrialEnded:
		e.trialEnded(ev)
	case soak.RunEnded:
		e.running.Reset()
		e.phase.Reset()
	}
}

func (e *Exporter) phaseChanged(ev soak.PhaseChanged) {
	if ev.Phase.End.IsZero() {
		e.phase.Reset()
		e.phase.WithLabelValues(e.labels(ev.Cell, ev.Phase.Name, ev.Phase.Kind)...).Set(1)
	}
}

func (e *Exporter) snapped(ev soak.Snapped) {
	if ev.Snapshot.State != record.StateFloor || ev.Live == 0 {
		return
	}
	l := e.labels(ev.Cell)
	e.floor.WithLabelValues(l...).Set(float64(ev.Live))
	e.floorNum.WithLabelValues(l...).Inc()
	if c := ev.Snapshot.Covariates; c != nil {
		e.floorFiles.WithLabelValues(l...).Set(float64(c.FilesDone))
	}
}

func (e *Exporter) sampled(ev soak.Sampled) {
	l := e.labels(ev.Cell)
	s := ev.Sample
	if s.Process != nil {
		e.rss.WithLabelValues(l...).Set(float64(s.Process.RSS))
		e.anon.WithLabelValues(l...).Set(float64(s.Process.Anon))
	}
	if s.Cgroup != nil {
		e.cgroup.WithLabelValues(l...).Set(float64(s.Cgroup.Usage))
	}
	if s.Runtime != nil {
		e.heap.WithLabelValues(l...).Set(float64(s.Runtime.HeapAlloc))
		e.goroutines.WithLabelValues(l...).Set(float64(s.Runtime.Goroutines))
		e.gcCPU.WithLabelValues(l...).Set(s.Runtime.GCCPU)
	}
	if c := s.Covariates; c != nil {
		e.inFlight.WithLabelValues(l...).Set(float64(c.InFlight))
		e.backlog.WithLabelValues(l...).Set(float64(c.Backlog))
		e.files.WithLabelValues(l...).Set(float64(c.FilesDone))
		e.conns.WithLabelValues(l...).Set(float64(c.ConnsOpen))
	}
}

func (e *Exporter) trialEnded(ev soak.TrialEnded) {
	l := e.labels(ev.Cell)
	outcome := cmp.Or(string(ev.Outcome), cutShort)
	e.ended.WithLabelValues(outcome).Inc()
	e.trials.WithLabelValues("ended").Inc()
	e.running.Reset()
	e.gone[pyroscope.CellLabel(ev.Cell)] = true
	e.peak.WithLabelValues(l...).Set(float64(ev.Peak.Bytes()))
	e.peakRSS.WithLabelValues(l...).Set(float64(ev.Peak.RSS))
	if ev.Peak.HeapLive > 0 {
		e.peakHeap.WithLabelValues(l...).Set(float64(ev.Peak.HeapLive))
	}
	if ev.Kind == record.Speed {
		if ev.Work.Seconds > 0 {
			e.rate.WithLabelValues(l...).Set(float64(ev.Work.Files) / ev.Work.Seconds)
		}
		return
	}
	e.headline.DeletePartialMatch(prometheus.Labels{"cell": pyroscope.CellLabel(ev.Cell)})
	e.headline.WithLabelValues(e.labels(ev.Cell, ev.Headline.String())...).SetToCurrentTime()
}

// Handler serves the metrics. The first scrape after a trial's end still has what its subject used; the next has not.
func (e *Exporter) Handler() http.Handler {
	h := promhttp.HandlerFor(e.reg, promhttp.HandlerOpts{Registry: e.reg})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		gone := e.gone
		e.gone = map[string]bool{}
		e.watched = true
		seen := e.seen
		e.mu.Unlock()
		h.ServeHTTP(w, r)
		e.mu.Lock()
		defer e.mu.Unlock()
		for cell := range gone {
			e.forget(cell)
		}
		if seen != nil {
			seen()
		}
	})
}

// forget removes the readings of a subject that has ended. What its trial came to stays: peaks, floors, headline.
func (e *Exporter) forget(cell string) {
	for _, v := range []*prometheus.GaugeVec{e.rss, e.anon, e.cgroup, e.heap, e.goroutines, e.gcCPU, e.inFlight, e.backlog,
		e.files, e.conns} {
		v.DeletePartialMatch(prometheus.Labels{"cell": cell})
	}
}

// lastScrape is how long a finished run waits for the server that scraped it to see its final values, and lastReply how
// long for the end of replies.
const (
	lastScrape = 20 * time.Second
	lastReply  = time.Second
)

// Listen serves the metrics at /metrics on addr until stop is called, and says where. After a run that was scraped,
// stop waits for one more scrape, for twenty seconds at most or until its context ends.
func (e *Exporter) Listen(ctx context.Context, addr string) (url string, stop func(context.Context), err error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", e.Handler())
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l) // it ends by stop, or with the listener: the run does not depend on being watched
	}()
	return "http://" + l.Addr().String() + "/metrics", func(ctx context.Context) {
		e.awaitScrape(ctx)
		ctx, cancel := context.WithTimeout(ctx, lastReply)
		defer cancel()
		if srv.Shutdown(ctx) != nil { // the last reply may be on its way
			srv.Close()
		}
		<-ended
	}, nil
}

// awaitScrape waits for a scrape that begins from now on: one under way may have read the values before the last.
func (e *Exporter) awaitScrape(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastScrape)
	defer cancel()
	e.mu.Lock()
	e.seen = cancel
	watched := e.watched
	e.mu.Unlock()
	if watched {
		<-ctx.Done()
	}
}
