package record

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestThePeakIsWhatALimitHasToHold(t *testing.T) {
	const mib = 1 << 20
	reading := func(usage, file int64) Sample {
		return Sample{Process: &Process{RSS: 70 * mib, Anon: 40 * mib},
			Cgroup: &Cgroup{Usage: usage * mib, File: file * mib, Peak: usage * mib}}
	}
	var p Peak
	p.See(reading(60, 0))
	p.See(reading(90, 50)) // pages of files come and go
	p.Join(Peak{Cgroup: 95 * mib})
	n, kind := p.Memory()
	assert.EqualValues(t, 60*mib, n)
	assert.Equal(t, PeakCharged, kind)
	assert.Equal(t, "60 MiB", p.String())
	assert.EqualValues(t, 95*mib, p.Above(), "the kernel's own peak is an upper bound")
	assert.EqualValues(t, 70*mib, p.RSS)

	assert.EqualValues(t, 40*mib, reading(90, 50).Held())
	assert.EqualValues(t, 0, (&Cgroup{Usage: 1, File: 2}).Held(), "counters of the kernel lag")
}

func TestAPeakFromElsewhereIsMarked(t *testing.T) {
	for _, c := range []struct {
		peak Peak
		kind PeakKind
		text string
	}{
		{Peak{RSS: 1 << 20, HeapLive: 9}, PeakResident, "1.0 MiB (RSS)"},
		{Peak{RSS: 1 << 20, Cgroup: 2 << 20}, PeakUpper, "2.0 MiB (with pages of files)"},
		{Peak{HeapLive: 1 << 20}, PeakLive, "1.0 MiB (live heap)"},
		{Peak{}, PeakNone, "0 B"},
	} {
		_, kind := c.peak.Memory()
		assert.Equal(t, c.kind, kind)
		assert.Equal(t, c.text, c.peak.String())
		assert.Zero(t, c.peak.Above())
	}
}
