package linear

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

const mib = 1 << 20

// TestADoubtedTermExplainsReadingsAlone: a queue of so many bytes an item fits, and no more items are promised to cost
// as much.
func TestADoubtedTermExplainsReadingsAlone(t *testing.T) {
	var rows []Observation
	for _, transfers := range []int64{0, 1, 2, 4, 8} {
		for _, waiting := range []int64{0, 1000, 5000} {
			rows = append(rows, Observation{Live: float64(10*mib + transfers*mib + waiting*1000), Held: true,
				Cov: record.Covariates{InFlight: transfers, AtHeader: transfers, Backlog: waiting}})
		}
	}
	at := func(m *Model, transfers, waiting int64) float64 {
		v, _ := m.At(Observation{Cov: record.Covariates{InFlight: transfers, AtHeader: transfers, Backlog: waiting}})
		return v
	}
	trusted, err := Fit(rows, Observation.LiveRest, mib/8, func(string, float64, float64) string { return "" })
	require.NoError(t, err)
	require.Empty(t, trusted.Dropped)
	require.InEpsilon(t, 26*mib+1_000_000_000, at(trusted, 16, 1_000_000), 0.02)

	doubted, err := Fit(rows, Observation.LiveRest, mib/8, func(term string, _, _ float64) string {
		if Gathering(term) {
			return term + " is not believed"
		}
		return ""
	})
	require.NoError(t, err)
	require.Equal(t, []string{"backlog is not believed"}, doubted.Bounded)
	require.InEpsilon(t, 26*mib+5_000_000, at(doubted, 16, 1_000_000), 0.02, "the most that was read")
	sum := 0.0
	for _, p := range doubted.Parts(Observation{Cov: record.Covariates{InFlight: 16, AtHeader: 16, Backlog: 1_000_000}}) {
		sum += p.Bytes
	}
	require.InDelta(t, at(doubted, 16, 1_000_000), sum, 1)
}

// TestMemoryOfTheSettingIsThereAtRest has a pool of 2.5 MiB for each worker from the start.
func TestMemoryOfTheSettingIsThereAtRest(t *testing.T) {
	var rows []Observation
	for _, workers := range []int{4, 16} {
		for i := range 12 {
			rows = append(rows, Observation{Workers: workers, Outside: float64(4*mib + workers*5*mib/2 + i*1024),
				Held: i%4 == 3, Cov: record.Covariates{InFlight: int64(i % 4 / 3 * workers), FilesDone: int64(100 * i)}})
		}
	}
	m, err := Fit(rows, Observation.OutsideRest, mib/2, func(string, float64, float64) string { return "" })
	require.NoError(t, err)
	at, _ := m.At(Observation{Workers: 15})
	require.InEpsilon(t, 4*mib+15*5*mib/2, at, 0.1)
}

// TestAStepIsNoGrowthThatBecameFaster has readings of the second half of 64,000 files: what each adds is taken from
// the end where growth became faster there, and not from a table that doubled before.
func TestAStepIsNoGrowthThatBecameFaster(t *testing.T) {
	ramp := func(files, from, to float64) float64 { return min(1, max(0, (files-from)/(to-from))) }
	for name, c := range map[string]struct {
		bytes    func(files float64) float64
		from, to float64 // of what each file adds
	}{
		"even":              {func(x float64) float64 { return 100 * x }, 100, 100},
		"faster":            {func(x float64) float64 { return x * x / 400 }, 280, 320},
		"a step":            {func(x float64) float64 { return 50*x + 2*mib*ramp(x, 52_000, 56_000) }, 50, 140},
		"a step at the end": {func(x float64) float64 { return 50*x + 2*mib*ramp(x, 60_000, 64_000) }, 500, 600},
		"a step, then faster": {func(x float64) float64 {
			return 2*mib*ramp(x, 40_000, 44_000) + 4*mib*ramp(x, 56_000, 64_000)
		}, 500, 560},
	} {
		var rows []Observation
		var y []float64
		for x := 32_000; x <= 64_000; x += 1000 {
			rows = append(rows, Observation{Cov: record.Covariates{FilesDone: int64(x)}})
			y = append(y, c.bytes(float64(x)))
		}
		m := &Model{fit: &trend.Fit{}, terms: terms(), floor: mib / 8}
		each := m.secondHalf(rows, y, func(o Observation) float64 { return float64(o.Cov.FilesDone) },
			func(int) bool { return false }).each
		require.GreaterOrEqual(t, each, c.from-1, name)
		require.LessOrEqual(t, each, c.to+1, name)
	}
}
