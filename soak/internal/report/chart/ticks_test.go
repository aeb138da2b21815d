package chart_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/soak/internal/report/chart"
)

func TestTicksAreRoundInTheirUnit(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		ticks  chart.Scale
		lo, hi float64
		want   []string
	}{
		"bytes in powers of two": {chart.BytesTicks(4), 0, 100 * mib, []string{"0 B", "32 MiB", "64 MiB", "96 MiB"}},
		"bytes across a unit":    {chart.BytesTicks(2), 0, 1024 * mib, []string{"0 B", "512 MiB", "1.0 GiB"}},
		"an axis without extent": {chart.BytesTicks(4), 5, 5, []string{"5 B"}},
		"a short part of its values": {chart.BytesTicks(4), 1.31 * mib, 1.42 * mib,
			[]string{"1.31 MiB", "1.34 MiB", "1.38 MiB", "1.41 MiB"}},
		"no ticks asked for": {chart.CountTicks(0), 0, 1, []string{"0", "1"}},
		"seconds":            {chart.SecondsTicks(4), 0, 55, []string{"0 s", "15 s", "30 s", "45 s"}},
		"minutes":            {chart.SecondsTicks(3), 0, 200, []string{"0 s", "2:00"}},
		"hours":              {chart.SecondsTicks(2), 0, 3 * 3600, []string{"0 s", "2:00:00"}},
		"counts at 1, 2, 5": {chart.CountTicks(5), 0, 10_000, []string{"0", "2,000", "4,000", "6,000", "8,000",
			"10,000"}},
		"counts are never fractions":    {chart.CountTicks(10), 0, 2, []string{"0", "1", "2"}},
		"an axis that starts elsewhere": {chart.CountTicks(3), 7, 30, []string{"10", "20", "30"}},
	} {
		var got []string
		for _, tick := range c.ticks(c.lo, c.hi) {
			assert.GreaterOrEqual(t, tick.At, c.lo, name)
			assert.LessOrEqual(t, tick.At, c.hi, name)
			got = append(got, tick.Text)
		}
		assert.Equal(t, c.want, got, name)
	}
}
