package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// floors are the readings at which a floor is made, of work done per reading.
func floors(perReading ...float64) []int {
	var w idleWatch
	var out []int
	sum := 0.0
	for i, d := range perReading {
		sum += d
		if w.observe(time.Unix(int64(i), 0), sum) {
			out = append(out, i)
		}
	}
	return out
}

func TestAFloorIsMadeOnceWhenTheLoadStops(t *testing.T) {
	assert.Equal(t, []int{6}, floors(0, 100, 120, 90, 110, 2, 1, 0, 0, 0), "once")
	assert.Equal(t, []int{6, 12}, floors(0, 100, 120, 90, 110, 2, 1, 80, 95, 99, 100, 0, 0), "again after work")
	assert.Empty(t, floors(0, 100, 120, 2, 90, 3, 110, 95), "one quiet reading is none")
	assert.Empty(t, floors(0, 0, 0, 0, 0, 0), "nothing was done before")
	assert.Empty(t, floors(0, 100, 60, 40, 30, 25, 20, 25, 30, 40), "less is not nothing")
}
