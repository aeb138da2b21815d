package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

// forced are the seconds at which a collection is forced on a process of 100 MiB that allocates so much a second and
// collects by itself each own seconds, with a profile each second.
func forced(perSecond int64, own int, cost time.Duration) (at []int) {
	h := staleHeap{after: 5 * time.Second, cost: cost}
	gcs := int64(0)
	for i := range 61 {
		if own > 0 && i%own == 0 {
			gcs++
		}
		s := record.Sample{Time: second(i), Runtime: &record.Runtime{HeapAlloc: 100 << 20, NumGC: gcs,
			TotalAlloc: perSecond * int64(i)}}
		if h.due(s) {
			gcs++
			s.Runtime.NumGC = gcs
			h.collected(s)
			at = append(at, i)
		}
	}
	return at
}

func TestACollectionIsForcedWhereAProfileIsOldAndItCostsLittle(t *testing.T) {
	const little, much = 1 << 20, 20 << 20
	assert.Len(t, forced(little, 0, 0), 13, "each five seconds, and the first")
	assert.Equal(t, []int{0}, forced(little, 3, 0), "it collects by itself")
	assert.Len(t, forced(much, 0, 0), 5, "it allocates much and will collect soon")
	assert.Equal(t, []int{0, 20, 40, 60}, forced(little, 0, 200*time.Millisecond), "a hundredth of the time at most")
}
