package control

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// Collector returns the counters as Prometheus metrics whose names start with prefix ("fakes3").
func (c *Control) Collector(prefix string) prometheus.Collector {
	col := &collector{c: c}
	add := func(name, help string, t prometheus.ValueType, f func(*fault.Counters) int64) {
		col.metrics = append(col.metrics, metric{prometheus.NewDesc(prefix+"_"+name, help, nil, nil), t, f})
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	add("requests_total", "Requests, the admin protocol's not counted.", counter,
		func(v *fault.Counters) int64 { return v.Requests })
	add("not_understood_total", "Requests that have no meaning to the fake.", counter,
		func(v *fault.Counters) int64 { return v.NotUnderstood })
	add("faults_total", "Faults that struck.", counter, func(v *fault.Counters) int64 { return v.FaultsFired })
	add("list_pages_total", "List pages sent.", counter, func(v *fault.Counters) int64 { return v.ListPages })
	add("files_listed_total", "Files sent in list pages.", counter, func(v *fault.Counters) int64 { return v.FilesListed })
	add("folders_listed_total", "Folders sent in list pages.", counter,
		func(v *fault.Counters) int64 { return v.FoldersListed })
	add("transfers_started_total", "Transfers begun.", counter, func(v *fault.Counters) int64 { return v.Started })
	add("transfers_finished_total", "Transfers ended with every byte moved.", counter,
		func(v *fault.Counters) int64 { return v.Finished })
	add("transfers_failed_total", "Transfers ended early.", counter, func(v *fault.Counters) int64 { return v.Failed })
	add("transferred_bytes_total", "Body bytes moved.", counter, func(v *fault.Counters) int64 { return v.Bytes })
	add("distinct_files_total", "Files finished for the first time.", counter,
		func(v *fault.Counters) int64 { return v.Distinct })
	add("transfers_in_flight", "Transfers begun and not ended.", gauge,
		func(v *fault.Counters) int64 { return v.InFlight })
	add("in_flight_bytes", "Sum of the full sizes of the transfers in flight.", gauge,
		func(v *fault.Counters) int64 { return v.BytesInFlight })
	add("largest_in_flight_bytes", "Size of the largest transfer in flight.", gauge,
		func(v *fault.Counters) int64 { return v.LargestNow })
	add("backlog_files", "Files listed and not finished yet.", gauge, func(v *fault.Counters) int64 { return v.Backlog })
	add("connections_total", "Connections accepted.", counter, func(v *fault.Counters) int64 { return v.ConnsTotal })
	add("connections_open", "Connections open.", gauge, func(v *fault.Counters) int64 { return v.ConnsOpen })
	add("connections_idle", "Connections open without a request.", gauge,
		func(v *fault.Counters) int64 { return v.ConnsIdle })
	return col
}

type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*fault.Counters) int64
}

type collector struct {
	c       *Control
	metrics []metric
}

// Describe implements prometheus.Collector.
func (col *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range col.metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (col *collector) Collect(ch chan<- prometheus.Metric) {
	v := col.c.Counters()
	for _, m := range col.metrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(&v)))
	}
}
