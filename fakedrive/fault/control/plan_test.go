package control_test

import (
	"encoding/json"
	"os"
	"path/filepath"
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

func TestPlanSurvivesTheProtocol(t *testing.T) {
	f := newFake(t, false)
	full, err := os.ReadFile(filepath.Join("..", "testdata", "full.yaml"))
	require.NoError(t, err)
	f.plan(t, string(full))
	var got json.RawMessage
	require.NoError(t, f.client.Do(t.Context(), "GET", "faults", nil, &got))
	want, err := fault.ParsePlan(full, options)
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
