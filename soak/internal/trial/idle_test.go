package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// floors are the seconds at which a floor is made, of the rates from second to second.
func floors(rates ...float64) []int {
	var w idleWatch
	var out []int
	sum := 0.0
	for i, r := range rates {
		sum += r
		if w.observe(usage{at: second(i), work: sum}) {
			out = append(out, i)
		}
	}
	return out
}

func second(i int) time.Time { return time.Unix(int64(i), 0) }

// steady are rates about r.
func steady(r float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = r * (1 + 0.2*float64(i%3-1))
	}
	return out
}

// of puts phases one after the other.
func of(phases ...[]float64) (all []float64) {
	for _, p := range phases {
		all = append(all, p...)
	}
	return all
}

func TestAFloorIsMadeOnceWhenTheLoadStops(t *testing.T) {
	load := steady(100, 12)
	assert.Equal(t, []int{13}, floors(of(load, []float64{2, 1, 0, 0, 0})...), "once")
	assert.Equal(t, []int{13, 19}, floors(of(load, []float64{2, 1, 80, 95, 99, 100, 0, 0, 0, 0})...), "again after work")
	assert.Empty(t, floors(of(load, []float64{2, 90, 3, 110, 95})...), "one quiet reading is none")
	assert.Empty(t, floors(steady(0, 20)...), "nothing was done before")
	assert.Empty(t, floors(of(load, []float64{100, 60, 40, 30, 25, 20, 25, 30, 40})...), "less is not nothing")
	assert.Empty(t, floors(of(steady(100, 5), steady(0, 5))...), "what lasts five seconds is no load")
}

func TestABurstIsNoLoad(t *testing.T) {
	assert.Empty(t, floors(of(steady(2000, 4), steady(50, 30))...), "a start")
	assert.Empty(t, floors(of(steady(50, 12), steady(2000, 3), steady(50, 30))...), "a burst under load")
	assert.Equal(t, []int{42}, floors(of(steady(0.01, 30), steady(100, 11), steady(0.01, 3))...),
		"a load after a long rest")
}

// TestAProcessThatGetsNoCPUIsNotIdle has a load all the time, and for a while others that take the CPU.
func TestAProcessThatGetsNoCPUIsNotIdle(t *testing.T) {
	for name, c := range map[string]struct {
		load, idle float64 // seconds of waiting in each, under load and after it
		want       bool
	}{"others come": {0, 0.9, false}, "they don't": {0, 0.01, true}, "others are there all the time": {1.5, 0.2, true},
		"they are, and the load too": {1.5, 1.4, false}} {
		w := idleWatch{least: leastCPU}
		cpu, wait, made := 0.0, 0.0, false
		for i := range 40 {
			if i < 20 {
				cpu, wait = cpu+0.5, wait+c.load
			} else {
				cpu, wait = cpu+0.01, wait+c.idle
			}
			made = w.observe(usage{second(i), cpu, wait}) || made
		}
		assert.Equal(t, c.want, made, name)
	}
}

func TestALoadIsToldFromTheTakingOfProfiles(t *testing.T) {
	w := idleWatch{least: leastCPU}
	cpu, at := 0.0, 0
	for range 12 {
		cpu += 0.4
		w.observe(usage{at: second(at), work: cpu})
		at++
	}
	assert.False(t, w.observe(usage{at: second(at), work: cpu}))
	assert.False(t, w.resting())
	assert.True(t, w.observe(usage{at: second(at + 1), work: cpu}))
	for range 5 {
		at += 2
		cpu += 0.3 // a profile
		w.skip(usage{at: second(at), work: cpu})
		assert.False(t, w.observe(usage{at: second(at).Add(time.Second / 2), work: cpu}), "one floor")
		assert.True(t, w.resting(), "what a profile costs is no load")
	}
	w.observe(usage{at: second(at + 1), work: cpu + 0.4})
	assert.True(t, w.unsure(), "it may be back: no profile is taken now")
	w.observe(usage{at: second(at + 2), work: cpu + 0.4})
	assert.True(t, w.resting() && !w.unsure(), "a burst is no load")
	for i := range backAfter {
		w.observe(usage{at: second(at + 3 + i), work: cpu + 0.4*float64(i+2)})
	}
	w.observe(usage{at: second(at + 10), work: cpu + 0.4*float64(backAfter+1)})
	assert.False(t, w.resting(), "the load is back")
}

func TestALoadThatIsAsSmallAsTimersHasNoFloor(t *testing.T) {
	w := idleWatch{least: leastCPU}
	for i := range 30 {
		assert.False(t, w.observe(usage{at: second(i), work: 0.002 * float64(min(i, 15))}))
	}
}
