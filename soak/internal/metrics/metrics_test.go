package metrics_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/metrics"
)

func scrape(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return string(b)
}

func TestExporterFollowsTheRun(t *testing.T) {
	e := metrics.New()
	url, stop, err := e.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	defer stop(gone)
	cell := record.Cell{"workers": "25", "gomemlimit": "1800MiB"}
	ref := soak.TrialRef{Cell: cell, Kind: record.Attribution, Index: 1, N: 1, Of: 2}
	plan := &soak.Plan{Trials: []soak.Step{{Cell: cell, Settings: map[string]string{"pool": "40", "workers": "7"}}}}
	for _, ev := range []soak.Event{
		soak.RunStarted{Plan: plan, Run: "the-run", Subject: "migrator", Corpus: "mixed", Design: "star", Protocol: "default",
			Trials: 2, Limit: 2 << 30, Estimate: time.Minute, Isolated: "cgroup-v2"},
		soak.TrialStarted{TrialRef: ref},
		soak.PhaseChanged{TrialRef: ref, Phase: record.Phase{Name: "wave-1", Kind: "wave"}},
		soak.Sampled{TrialRef: ref, Sample: record.Sample{
			Process: &record.Process{RSS: 1000, Anon: 900}, Cgroup: &record.Cgroup{Usage: 1100},
			Runtime: &record.Runtime{HeapAlloc: 500, Goroutines: 12, GCCPU: 0.25}, Covariates: &record.Covariates{InFlight: 3,
				Backlog: 4, FilesDone: 5, ConnsOpen: 6},
		}},
		soak.Snapped{TrialRef: ref, Live: 300, Snapshot: record.Snapshot{State: record.StateFloor,
			Sample: record.Sample{Covariates: &record.Covariates{FilesDone: 71}}}},
		soak.Snapped{TrialRef: ref, Live: 999, Snapshot: record.Snapshot{State: record.StateReply}},
	} {
		e.Event(ev)
	}
	const l = `cell="gomemlimit=1800MiB workers=25",gogc="",gomemlimit="1800MiB",`
	page := scrape(t, url)
	for _, want := range []string{
		`soak_run_start_timestamp_seconds{corpus="mixed",design="star",isolation="cgroup-v2",protocol="default",` +
			`subject="migrator"} 1.`,
		`soak_trials{state="planned"} 2`, `soak_memory_limit_bytes 2.147483648e+09`, `soak_run_estimate_seconds 60`,
		`soak_trial_running{` + l + `kind="attribution",pool="40",workers="25"} 1`,
		`soak_phase_info{` + l + `kind="wave",phase="wave-1",pool="40",workers="25"} 1`,
		`soak_rss_bytes{` + l + `pool="40",workers="25"} 1000`, `soak_cgroup_bytes{` + l + `pool="40",workers="25"} 1100`,
		`soak_floor_heap_bytes{` + l + `pool="40",workers="25"} 300`, `soak_floors{` + l + `pool="40",workers="25"} 1`,
		`soak_floor_files{` + l + `pool="40",workers="25"} 71`, `soak_backlog_files{` + l + `pool="40",workers="25"} 4`,
		`soak_trials_ended_total{outcome="crashed"} 0`, "go_goroutines", "process_resident_memory_bytes",
	} {
		assert.True(t, strings.Contains(page, want), "not there: %s", want)
	}
	assert.False(t, strings.Contains(page, "the-run"), "no run's id on long-lived series")

	e.Event(soak.TrialEnded{TrialRef: ref, Outcome: record.OOMKilled, Peak: record.Peak{RSS: 2000, HeapLive: 800},
		Headline: record.HeadLeak})
	e.Event(soak.TrialEnded{TrialRef: ref, Outcome: record.OOMKilled, Peak: record.Peak{RSS: 2000, HeapLive: 800},
		Headline: record.HeadBuffer})
	e.Event(soak.RunEnded{})
	page = scrape(t, url)
	assert.True(t, strings.Contains(page, `soak_trials_ended_total{outcome="oom-killed"} 2`))
	assert.True(t, strings.Contains(page, `headline="buffering"`))
	assert.False(t, strings.Contains(page, `headline="leak"`), "one headline per cell")
	assert.False(t, strings.Contains(page, "soak_trial_running{"), "nothing runs any more")
	assert.False(t, strings.Contains(page, "soak_phase_info{"))
	assert.True(t, strings.Contains(page, "soak_rss_bytes{"), "the first scrape after a trial still has its last reading")
	page = scrape(t, url)
	assert.False(t, strings.Contains(page, "soak_rss_bytes{"), "a reading ends with its trial")
	assert.True(t, strings.Contains(page, "soak_peak_rss_bytes{"), "what the trial came to stays")
}

// A run that a server watches waits for one more scrape, so that its last trial is seen; one that is not watched ends.
func TestTheEndWaitsForTheLastScrape(t *testing.T) {
	e := metrics.New()
	_, stop, err := e.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	stop(t.Context())

	url, stop, err := e.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	scrape(t, url)
	e.Event(soak.TrialEnded{TrialRef: soak.TrialRef{Cell: record.Cell{"workers": "2"}}, Peak: record.Peak{RSS: 77},
		Outcome: record.OK})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stop(t.Context())
	}()
	select {
	case <-ended:
		t.Fatal("it ended before the last scrape")
	case <-time.After(50 * time.Millisecond):
	}
	assert.Contains(t, scrape(t, url), `soak_peak_rss_bytes{cell="workers=2"`)
	<-ended
}

// Prometheus's own linter finds nothing to say about names, units and help of the soak_* series.
func TestNamesFollowPrometheusConventions(t *testing.T) {
	e := metrics.New()
	url, stop, err := e.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	defer stop(gone)
	e.Event(soak.RunStarted{})
	problems, err := promlint.New(strings.NewReader(scrape(t, url))).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		assert.False(t, strings.HasPrefix(p.Metric, "soak_"), "%s: %s", p.Metric, p.Text)
	}
}
