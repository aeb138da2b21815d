package series

import (
	"testing"

	"github.com/stretchr/testify/assert"

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
		want := map[string]int64{record.PartLive: 20, record.PartGarbage: 6, record.PartUnused: 24, record.PartStacks: 4,
			record.PartUntouched: c.untouched,
			record.PartRuntime:   5, record.PartOffHeap: 7, record.PartFile: 11, record.PartRemainder: c.remainder}
		var sum int64
		for _, p := range splitMemory(n) {
			assert.Equal(t, want[p.Part]*mib, p.Bytes, "%s: %s", c.why, p.Part)
			sum += p.Bytes
		}
		assert.Equal(t, n.Process.RSS, sum, c.why)
	}
}
