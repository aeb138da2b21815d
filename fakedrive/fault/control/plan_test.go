package control_test

import (
	"encoding/json"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// gather collects the metrics of a collector by name.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	require.NoError(t, reg.Register(c))
	families, err := reg.Gather()
	require.NoError(t, err)
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	return got
}

const fullPlan = `
seed: 9
bandwidth: {stream: 10MiB, total: 1GiB}
quotas:
  - {ops: [list, get], per_minute: 600, error: {reason: slowDown, retry_after: 2s}}
rules:
  - {name: slow, ops: [get], files: "*.bin", probability: 0.25, latency: 20ms, jitter: 5ms}
  - {ops: [get], attempts: 2, skip: 1, limit: 5, error: {status: 429, reason: busy, message: later, body_size: 1MiB}}
  - {ops: [put], reset: {at: end}}
  - {ops: [put], stall: {offset: 1MiB, for: 30s}}
  - {ops: [get], truncate: {after: 4096, framing: chunked}}
  - {ops: [get], flip: {offset: 7}}
  - {ops: [get], change: true}
  - {ops: [list], empty_page: true}
  - {ops: [list], duplicates: 3}
  - {ops: [accept], latency: 1s}
`

func TestPlanSurvivesTheProtocol(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, fullPlan)
	var got json.RawMessage
	require.NoError(t, f.client.Do(t.Context(), "GET", "faults", nil, &got))
	want, err := fault.ParsePlan([]byte(fullPlan), options)
	require.NoError(t, err)
	again, err := fault.ParsePlan(got, options)
	require.NoError(t, err, string(got))
	require.Equal(t, want, again)
	require.Equal(t, fault.Size(10<<20), again.Bandwidth.Stream)
	require.Equal(t, 503, again.Quotas[0].Error.Status, "filled in from the reason")

	require.ErrorContains(t, f.client.SetFaults(t.Context(), []byte("rules: 7")), "line 1, column 8")
	require.NoError(t, f.client.Do(t.Context(), "GET", "faults", nil, &got))
	kept, err := fault.ParsePlan(got, options)
	require.NoError(t, err)
	require.Equal(t, want, kept, "a bad plan leaves the old one in place")
}
