package sampler

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	dto "github.com/prometheus/client_model/go"

	"memsoak/profiles/record"
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

// parseMetrics reads Prometheus text into name{labels} -> value; of histograms and summaries only sum and count. The
// runtime's and the process's own (go_, process_, promhttp_) are left out: they are sampled at their source.
func parseMetrics(r io.Reader) (map[string]float64, error) {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(r)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for name, f := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
			continue
		}
		for _, m := range f.GetMetric() {
			addMetric(out, name, m)
		}
	}
	return out, nil
}

// maxMetrics bounds what a sample keeps of a subject with very many series.
const maxMetrics = 200

func addMetric(out map[string]float64, name string, m *dto.Metric) {
	if len(out) >= maxMetrics {
		return
	}
	var labels strings.Builder
	for i, l := range m.GetLabel() {
		if i > 0 {
			labels.WriteByte(',')
		}
		labels.WriteString(l.GetName() + "=" + strconv.Quote(l.GetValue()))
	}
	suffix := ""
	if labels.Len() > 0 {
		suffix = "{" + labels.String() + "}"
	}
	switch {
	case m.Counter != nil:
		out[name+suffix] = m.Counter.GetValue()
	case m.Gauge != nil:
		out[name+suffix] = m.Gauge.GetValue()
	case m.Untyped != nil:
		out[name+suffix] = m.Untyped.GetValue()
	case m.Histogram != nil:
		out[name+"_sum"+suffix] = m.Histogram.GetSampleSum()
		out[name+"_count"+suffix] = float64(m.Histogram.GetSampleCount())
	case m.Summary != nil:
		out[name+"_sum"+suffix] = m.Summary.GetSampleSum()
		out[name+"_count"+suffix] = float64(m.Summary.GetSampleCount())
	}
}
