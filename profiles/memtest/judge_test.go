package memtest

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// room is what containers take that grow by a factor when they are full, read after each wave of operations. Each
// operation gives one of them a size, by what size says of its number.
func room(containers int, factor float64, size func(op, container int) float64) series {
	s := series{}
	caps := make([]float64, containers)
	rng := rand.New(rand.NewPCG(1, uint64(containers)))
	op := 0
	for len(s.ops) == 0 || op < 30_000 {
		for wave := max(80, op/12); wave > 0; wave-- {
			op++
			c := rng.IntN(containers)
			for want := size(op, c); caps[c] < want; {
				caps[c] = max(8, caps[c]*factor)
			}
		}
		sum := 0.0
		for _, c := range caps {
			sum += c
		}
		s.ops, s.values = append(s.ops, op), append(s.values, int64(8*sum))
	}
	return s
}

func TestTheLargestSizeSoFarFlattens(t *testing.T) {
	const runs = 20
	alarms := 0
	for seed := range uint64(runs) {
		rng := rand.New(rand.NewPCG(seed, 7))
		s := room(64, 2, func(int, int) float64 { return rng.ExpFloat64() * 10 })
		if g, _, _ := s.judge(0.5); g != steady && !s.flattens() {
			alarms++
		}
	}
	if alarms > runs/10 {
		t.Errorf("%d alarms in %d runs", alarms, runs)
	}
}

// TestWhatIsKeptNeverFlattens has one element kept of each operation, in containers that are empty at the beginning or
// hold much already.
func TestWhatIsKeptNeverFlattens(t *testing.T) {
	for _, containers := range []int{1, 3, 64} {
		for _, factor := range []float64{1.25, 2} {
			for before := 1.0; before < 1e6; before *= 1.7 {
				kept := make([]float64, containers)
				s := room(containers, factor, func(_, c int) float64 {
					kept[c]++
					return before + kept[c]
				})
				for n := 4; n <= len(s.ops); n++ {
					if (series{s.ops[:n], s.values[:n]}).flattens() {
						t.Fatalf("%d containers that grow by %v and held %.0f: %v", containers, factor, before, s.values[:n])
					}
				}
			}
		}
	}
}

// TestCachesOfTypeAssertionsAreTheRuntimes has stacks of Go versions that inline what builds the cache and of others.
func TestCachesOfTypeAssertionsAreTheRuntimes(t *testing.T) {
	o := known().with("example.org/app.work")
	user := runtime.Frame{Function: "example.org/app.work", File: "/src/app/work.go"}
	for _, names := range [][]string{{"runtime.typeAssert"}, {"runtime.buildTypeAssertCache", "runtime.typeAssert"},
		{"runtime.interfaceSwitch"}, {"runtime.buildInterfaceSwitchCache", "runtime.interfaceSwitch"}} {
		var frames stack
		for _, name := range names {
			frames = append(frames, runtime.Frame{Function: name})
		}
		if !o.read(append(frames, user), func(string) bool { return false }).mine {
			t.Errorf("%v is a cache that the runtime keeps", names)
		}
	}
	if o.read(stack{user}, func(string) bool { return false }).mine {
		t.Error("the user's own allocation is not the runtime's")
	}
}
