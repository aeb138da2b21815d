package sampler

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/memsoak/memsoak/profiles/record"
)

// parseMemStats reads the runtime.MemStats at the end of /debug/pprof/heap?debug=1.
func parseMemStats(r io.Reader) (*record.Runtime, bool) {
	var v record.Runtime
	fields := map[string]*int64{
		"HeapAlloc": &v.HeapAlloc, "HeapInuse": &v.HeapInuse, "HeapIdle": &v.HeapIdle, "HeapReleased": &v.HeapReleased,
		"HeapObjects": &v.HeapObjects, "Sys": &v.Sys, "NextGC": &v.NextGC, "NumGC": &v.NumGC,
		"TotalAlloc": &v.TotalAlloc, "Mallocs": &v.Mallocs,
	}
	var sys [5]int64
	for i, k := range []string{"GCSys", "OtherSys", "BuckHashSys"} {
		fields[k] = &sys[i]
	}
	found := false
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadSlice('\n')
		if rest, ok := bytes.CutPrefix(line, []byte("# ")); ok {
			key, val, ok := strings.Cut(strings.TrimSpace(string(rest)), " = ")
			switch {
			case !ok:
			case key == "GCCPUFraction":
				v.GCCPU, _ = strconv.ParseFloat(val, 64)
			case key == "Stack":
				v.StackInuse, v.StackSys = pair(val)
			case key == "MSpan":
				_, sys[3] = pair(val)
			case key == "MCache":
				_, sys[4] = pair(val)
			case fields[key] != nil:
				*fields[key], _ = strconv.ParseInt(val, 10, 64)
				found = true
			}
		}
		if err != nil && err != bufio.ErrBufferFull {
			break
		}
	}
	for _, n := range sys {
		v.Metadata += n
	}
	v.Profiling = sys[2]
	return &v, found
}

// pair reads "12 / 34".
func pair(s string) (a, b int64) {
	x, y, _ := strings.Cut(s, " / ")
	a, _ = strconv.ParseInt(x, 10, 64)
	b, _ = strconv.ParseInt(y, 10, 64)
	return a, b
}

var goroutineCount = regexp.MustCompile(`<td>(\d+)</td>\s*<td><a href='?goroutine\?`)

// parseGoroutines reads the number of goroutines from the index page of net/http/pprof, which costs the subject far
// less than a goroutine profile.
func parseGoroutines(page []byte) (int, bool) {
	m := goroutineCount.FindSubmatch(page)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(m[1]))
	return n, err == nil
}

// parseMetrics reads Prometheus text into name{labels} -> value; of histograms and summaries only sum and count. What
// Go's collector says of the runtime comes back as such, nil when there is none; the process's own metrics (process_,
// promhttp_) are left out: they are sampled at their source. Of very many series those in first are sure to be there.
func parseMetrics(r io.Reader, first []string) (map[string]float64, *record.Runtime, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(r)
	if err != nil {
		return nil, nil, err
	}
	out, client := map[string]float64{}, map[string]float64{}
	names := slices.Sorted(maps.Keys(families))
	for _, named := range []bool{true, false} {
		for _, name := range names {
			if named != isNamed(name, first) {
				continue
			}
			kind := families[name].GetType().String()
			samples, err := expfmt.ExtractSamples(&expfmt.DecodeOptions{}, families[name])
			if err != nil {
				continue // a kind of metric that has no sums
			}
			for _, s := range samples {
				key, part := series(s.Metric)
				if part && (kind == "HISTOGRAM" || kind == "SUMMARY") {
					continue
				}
				if ofClient(name) {
					client[key] = float64(s.Value)
				}
				if named || !ofClient(name) && len(out) < maxMetrics {
					out[key] = float64(s.Value)
				}
			}
		}
	}
	return out, goCollector(client), nil
}

// series is name{labels}. Of a histogram or summary it is a part if it has the label of a bucket or a quantile.
func series(m model.Metric) (key string, part bool) {
	key = string(m[model.MetricNameLabel])
	delete(m, model.MetricNameLabel)
	if len(m) > 0 {
		key += strings.ReplaceAll(m.String(), `", `, `",`)
	}
	_, bucket := m[model.BucketLabel]
	_, quantile := m[model.QuantileLabel]
	return key, bucket || quantile
}

// ofClient reports whether a metric is one of the client library's own.
func ofClient(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_")
}

// isNamed reports whether a family of metrics has one of the names; a histogram's or summary's ends in its part.
func isNamed(family string, names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		rest, ok := strings.CutPrefix(n, family)
		return ok && (rest == "" || rest == "_count" || rest == "_sum")
	})
}

// goCollector reads what the Go collector of client_golang exposes under the names it has had since its beginning.
func goCollector(of map[string]float64) *record.Runtime {
	bytes := func(name string) int64 { return int64(of["go_memstats_"+name]) }
	if bytes("sys_bytes") == 0 {
		return nil
	}
	v := &record.Runtime{
		HeapAlloc: bytes("heap_alloc_bytes"), HeapInuse: bytes("heap_inuse_bytes"), HeapIdle: bytes("heap_idle_bytes"),
		HeapReleased: bytes("heap_released_bytes"), HeapObjects: bytes("heap_objects"),
		StackInuse: bytes("stack_inuse_bytes"), StackSys: bytes("stack_sys_bytes"),
		Metadata: bytes("mspan_sys_bytes") + bytes("mcache_sys_bytes") + bytes("buck_hash_sys_bytes") +
			bytes("gc_sys_bytes") + bytes("other_sys_bytes"),
		Profiling: bytes("buck_hash_sys_bytes"),
		Sys:       bytes("sys_bytes"), NextGC: bytes("next_gc_bytes"), TotalAlloc: bytes("alloc_bytes_total"),
		Mallocs: bytes("mallocs_total"), Goroutines: int(of["go_goroutines"]),
		NumGC: int64(of["go_gc_duration_seconds_count"]),
	}
	if all := of["go_cpu_classes_total_cpu_seconds_total"]; all > 0 {
		v.GCCPU = of["go_cpu_classes_gc_total_cpu_seconds_total"] / all
	}
	return v
}

// maxMetrics bounds how many series a sample keeps of a subject that has very many. Those the user names come on top.
const maxMetrics = 200
