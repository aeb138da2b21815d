package main

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"regexp"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/memsoak/memsoak/migrator"
)

// runtimeMetrics are what the stock go_* metrics leave out of the question where the memory is: the live heap of the
// last collection, and what the collector costs.
var runtimeMetrics = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(
	`^/(gc/heap/live:bytes|cpu/classes/(gc/)?(total|mark/idle):cpu-seconds)$`)}

// newRegistry returns the metrics of this process.
func newRegistry(s *migrator.Stats) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(runtimeMetrics)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	counter := func(name, help string, v *atomic.Int64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(v.Load()) }))
	}
	counter("migrator_list_pages_total", "Pages of folders listed.", &s.Pages)
	counter("migrator_files_found_total", "Files found and queued.", &s.Found)
	counter("migrator_files_found_bytes_total", "Sizes of the files found.", &s.FoundBytes)
	counter("migrator_files_copied_total", "Files copied.", &s.Copied)
	counter("migrator_files_skipped_total", "Files unchanged at the destination.", &s.Skipped)
	counter("migrator_files_filtered_total", "Files left out on purpose.", &s.Filtered)
	counter("migrator_files_unavailable_total", "Files that Drive doesn't give.", &s.Unavailable)
	counter("migrator_files_failed_total", "Files given up.", &s.Failed)
	counter("migrator_download_bytes_total", "Content bytes read from Drive.", &s.Bytes)
	counter("migrator_retries_total", "Requests tried again.", &s.Retries)
	counter("migrator_reopened_total", "Downloads opened again in their middle or from the start.", &s.Reopened)
	counter("migrator_rate_limited_total", "Replies that asked to slow down.", &s.RateLimited)
	counter("migrator_daily_pauses_total", "Pauses because the day's quota was used up.", &s.Paused)
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "migrator_files_in_flight",
		Help: "Files being copied."},
		func() float64 { return float64(s.InFlight.Load()) }))
	return r
}

// monitored serves what orchestrators and profilers ask a process for.
func monitored(s *migrator.Stats) *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	m.Handle("GET /metrics", promhttp.HandlerFor(newRegistry(s), promhttp.HandlerOpts{}))
	m.HandleFunc("/debug/pprof/", pprof.Index)
	m.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	m.HandleFunc("/debug/pprof/profile", pprof.Profile)
	m.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	m.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return m
}
