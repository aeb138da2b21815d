package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestWaterfallAddsUpToTheResidentSize(t *testing.T) {
	const mib = 1 << 20
	n := &Snapshot{Profiled: true, Live: Amount{Bytes: 20 * mib}}
	n.Runtime = &record.Runtime{HeapAlloc: 26 * mib, HeapInuse: 30 * mib, HeapIdle: 30 * mib, HeapReleased: 10 * mib,
		StackInuse: 4 * mib, Metadata: 5 * mib}
	for _, c := range []struct {
		why                        string
		arenas                     int64
		untouched, remainder, rest int64
	}{
		{"the runtime's 60 MiB of heap and 4 of stacks are what is mapped", 64, -4, 0, 0},
		{"6 MiB more are mapped than the runtime knows of", 70, -10, 6, 0},
		{"arenas that were taken for other memory", 34, 0, -4, 0},
		{"an older recording: by difference", 0, -4, 0, 0},
		{"resident pages in no mapping's account", 64, -4, 2, 2},
	} {
		n.Process = &record.Process{RSS: (73 + c.rest) * mib, HeapArena: 50 * mib, ArenaSize: c.arenas * mib,
			OtherAnon: 12 * mib, File: 10 * mib, Shmem: 1 * mib}
		want := map[string]int64{partLive: 20, partGarbage: 6, partUnused: 24, partStacks: 4, partUntouched: c.untouched,
			partRuntime: 5, partOffHeap: 7, partFile: 11, partRemainder: c.remainder}
		var sum int64
		for _, p := range splitMemory(n) {
			assert.Equal(t, want[p.Part]*mib, p.Bytes, "%s: %s", c.why, p.Part)
			sum += p.Bytes
		}
		assert.Equal(t, n.Process.RSS, sum, c.why)
	}
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
