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

func TestALoadIsToldFromTheTakingOfProfiles(t *testing.T) {
	w := idleWatch{least: leastCPU}
	second := func(i int) time.Time { return time.Unix(int64(i), 0) }
	cpu := 0.0
	for i := range 5 {
		cpu += 0.4
		w.observe(second(i), cpu)
	}
	assert.False(t, w.observe(second(5), cpu))
	assert.False(t, w.resting())
	assert.True(t, w.observe(second(6), cpu))
	for i := 7; i < 12; i++ {
		cpu += 0.3 // a profile
		w.skip(second(i), cpu)
		assert.False(t, w.observe(second(i).Add(time.Second/2), cpu), "one floor")
		assert.True(t, w.resting(), "what a profile costs is no load")
	}
	for i := range backAfter {
		assert.True(t, w.resting(), "a burst is no load")
		w.observe(second(13+i), cpu+0.4*float64(i+1))
	}
	assert.False(t, w.resting(), "the load is back")
}

func TestALoadBelowTheClocksTicksHasNoFloor(t *testing.T) {
	w := idleWatch{least: leastCPU}
	for i, used := range []float64{0, 0.01, 0.02, 0.03, 0.04, 0.04, 0.04, 0.04} {
		assert.False(t, w.observe(time.Unix(int64(i), 0), used))
	}
}
