package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"memsoak/profiles/record"
)

func TestWaterfallAddsUpToTheResidentSize(t *testing.T) {
	const mib = 1 << 20
	n := &Snapshot{Profiled: true, Live: Amount{Bytes: 20 * mib}}
	n.Process = &record.Process{RSS: 75 * mib, HeapArena: 50 * mib, OtherAnon: 12 * mib, File: 10 * mib, Shmem: 1 * mib}
	n.Runtime = &record.Runtime{HeapAlloc: 26 * mib, HeapInuse: 30 * mib, HeapIdle: 30 * mib, HeapReleased: 10 * mib, StackInuse: 4 * mib, Metadata: 5 * mib}
	want := map[string]int64{partLive: 20, partGarbage: 6, partUnused: 24, partStacks: 4, partUntouched: -4, partRuntime: 5, partOffHeap: 7, partFile: 11, partRemainder: 2}
	var sum int64
	for _, p := range splitMemory(n) {
		assert.Equal(t, want[p.Part]*mib, p.Bytes, p.Part)
		sum += p.Bytes
	}
	assert.Equal(t, n.Process.RSS, sum)
}

func TestWaterfallOfATrialNamesItsSites(t *testing.T) {
	v := diagnoseLab(t, newLab(t, leaky(), 6, 3).run(9))
	require.NotEmpty(t, v.Waterfall)
	assert.Equal(t, partLive, v.Waterfall[0].Part)
	assert.Contains(t, v.Waterfall[0].Detail, "copy.readAll")
}

func TestNoReadingsNoWaterfall(t *testing.T) {
	l := newLab(t, leaky(), 6, 3).run(2)
	for i := range l.trial.Snapshots {
		l.trial.Snapshots[i].Process = nil
	}
	assert.Empty(t, diagnoseLab(t, l).Waterfall)
}
