package report

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestALineEndsWhereTheLimitKilled: a reading of a process that is dead already is no memory of it, and the charge
// ends at the peak that was read when it was killed; other curves, and a kill by the node, say nothing of that moment.
func TestALineEndsWhereTheLimitKilled(t *testing.T) {
	begun := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(s int, rss, usage int64) record.Sample {
		return record.Sample{Time: begun.Add(time.Duration(s) * time.Second), Process: &record.Process{RSS: rss},
			Cgroup: &record.Cgroup{Usage: usage}}
	}
	samples := []record.Sample{at(1, 40, 20), at(2, 90, 70), at(4, 0, 1)}
	alive := lived(samples)
	assert.Len(t, alive, 2)
	assert.Len(t, lived([]record.Sample{{}, {}}), 2, "a recording of profiles alone has no process")

	killed := func(node bool, peak int64) *Trial {
		return &Trial{Samples: samples, Record: &record.Trial{Started: begun, Peak: record.Peak{Charged: peak},
			OOM: &record.OOM{Time: begun.Add(3 * time.Second), Limit: 128, Node: node}}}
	}
	ends := func(tr *Trial, c curve) []float64 {
		x, y := untilDeath(tr, c, begun, []float64{1, 2}, []float64{20, 70})
		return []float64{x[len(x)-1], y[len(y)-1]}
	}
	charge, heap := curve{charge: true}, curve{}
	assert.Equal(t, []float64{3, 128}, ends(killed(false, 128), charge))
	for name, got := range map[string][]float64{
		"of the heap":         ends(killed(false, 128), heap),
		"killed by the node":  ends(killed(true, 128), charge),
		"a sample is higher":  ends(killed(false, 60), charge),
		"no peak was charged": ends(killed(false, 0), charge),
		"it was not killed":   ends(&Trial{Samples: samples, Record: &record.Trial{Started: begun}}, charge),
	} {
		assert.Equal(t, []float64{2, 70}, got, name)
	}
}

func TestAPeakSaysWhatItWasReadFrom(t *testing.T) {
	assert.Contains(t, peakText(record.Peak{Charged: 128 << 20, RSS: 137 << 20}), "128 MiB</span>")
	assert.Contains(t, peakText(record.Peak{RSS: 137 << 20}), "137 MiB</span> <small>(RSS)</small>")
	assert.Contains(t, peakText(record.Peak{}), "not measured")
}

// TestALimitOfLessThanAByteIsNotNothing: growth per byte copied is some thousandths of one.
func TestALimitOfLessThanAByteIsNotNothing(t *testing.T) {
	assert.Equal(t, "0.00043 B", quantity(0.000432))
	assert.Equal(t, "0 B", quantity(0))
	assert.Equal(t, "0.02 B", quantity(0.02))
}

// TestACapacityOfAServiceCountsRequests: a service without a setting of its workers has none that could fit.
func TestACapacityOfAServiceCountsRequests(t *testing.T) {
	c := &record.Capacity{Limit: 1 << 30, MaxWorkers: 2, Words: record.Words{Item: record.ItemRequest, InFlight: true},
		At: []record.CapacityStep{{Workers: 1, Peak: 1 << 20}, {Workers: 40, Peak: 1 << 30}}}
	drawn := func() string {
		f := capacity(c, []kill{{40, 1 << 30}}, 8)
		return string(f.Wide) + f.Key[len(f.Key)-1].Text + f.Key[3].Text
	}
	assert.Contains(t, drawn(), "2 requests in flight fit")
	assert.Contains(t, drawn(), "40 requests in flight killed at")
	assert.NotContains(t, drawn(), "worker")
	page := &pageData{Run: &Run{Verdict: &record.RunVerdict{Capacity: c}}}
	assert.Equal(t, "requests in flight that fit", page.capacityAnswer().Name)
	c.Words = record.Words{}
	assert.Contains(t, drawn(), "2 workers fit")
	assert.Equal(t, "workers that fit", page.capacityAnswer().Name)
	c.MaxWorkers, c.Files, c.Fits = -1, 1_000_000, &record.Fit{Files: 97_532, Workers: 4}
	assert.Equal(t, fact{"files that fit", "97,532", "in 1.0 GiB with 4 workers"}, page.capacityAnswer())
	assert.Equal(t, "For 1,000,000 files no number of workers fits in 1.0 GiB", strings.TrimSuffix(room(c), "."))
	c.Fits.AtLeast = true
	assert.EqualValues(t, "≥ 97,532", page.capacityAnswer().Value)
	assert.Equal(t, "1 request in flight fits", fits(1, record.Words{InFlight: true}))
}

// Nothing is to be set for work that fits with no setting.
func TestNoSettingIsAdvisedWhereNoneFits(t *testing.T) {
	for want, c := range map[string]record.Capacity{
		"No number of workers fits in 2.0 GiB.":                             {MaxWorkers: -1},
		"At least 0 workers fit, and at most 3 in 2.0 GiB. GOMEMLIMIT=1GiB": {MaxWorkers: -1, Perhaps: 3},
		"How many workers fit in 2.0 GiB is not known.":                     {},
		"At most 4 workers fit in 2.0 GiB. GOMEMLIMIT=1GiB":                 {MaxWorkers: 4},
		"At least 4 workers fit in 2.0 GiB. GOMEMLIMIT=1GiB":                {MaxWorkers: 4, AtLeast: true},
	} {
		c.Limit, c.GOMEMLIMIT = 2<<30, 1<<30
		assert.Equal(t, want, strings.TrimSpace(room(&c)+" "+setting(&c)))
		var md, html strings.Builder
		v := &record.RunVerdict{Capacity: &c, Model: &record.Model{}}
		markdownCapacity(&md, v)
		require.NoError(t, page.ExecuteTemplate(&html, "model", &pageData{Run: &Run{Verdict: v}}))
		for _, text := range []string{md.String(), html.String()} {
			assert.Equal(t, setting(&c) != "", strings.Contains(text, "GOMEMLIMIT"), text)
		}
	}
}
