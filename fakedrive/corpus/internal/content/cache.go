package content

import "sync"

// ladders holds the states of each variant at the rungs, computed when the variant is first used: 3 ms of hashing for
// each of the LargeVariants, 0.2 ms for the others.
var ladders [SmallVariants]struct {
	once   sync.Once
	states []State
}

func ladder(variant uint32) []State {
	l := &ladders[variant]
	l.once.Do(func() {
		top := int64(SmallSize)
		if variant < LargeVariants {
			top = mib - Lag
		}
		var s State
		var at int64
		for _, p := range rungs[:rungBelow(top)+1] {
			s, at = Advance(variant, s, at, p), p
			l.states = append(l.states, s)
		}
	})
	return l.states
}

// place is a prefix of a stream.
type place struct {
	variant uint32
	offset  int64
}

// between remembers states at places that are neither in the table nor rungs. It is emptied when it is full, so that
// specs with ever new sizes cost time and not memory.
var between = struct {
	sync.RWMutex
	m map[place]State
}{m: map[place]State{}}

const maxBetween = 1 << 13

// At returns the state of a variant's stream after offset bytes. offset is a multiple of 64; beyond what
// [Variants] allows for a variant, or beyond FineSize off the table's steps, At is as slow as hashing is.
// It is safe for concurrent use.
func At(variant uint32, offset int64) State {
	s, at := lookup(variant, offset)
	if at == 0 && offset >= rungs[0] && variant < SmallVariants {
		states := ladder(variant)
		k := min(rungBelow(offset), len(states)-1)
		s, at = states[k], rungs[k]
	}
	if at == offset {
		return s
	}
	key := place{variant, offset}
	between.RLock()
	known, ok := between.m[key]
	between.RUnlock()
	if ok {
		return known
	}
	s = Advance(variant, s, at, offset)
	between.Lock()
	defer between.Unlock()
	if len(between.m) >= maxBetween {
		clear(between.m)
	}
	between.m[key] = s
	return s
}

// Variants returns how many variants there are of a prefix of a length: few enough that all their states are known
// or quickly made.
func Variants(length int64) uint32 {
	switch {
	case length <= SmallSize:
		return SmallVariants
	case length <= SharedSize:
		return LargeVariants
	default:
		return 1
	}
}

// Prefixes returns the lengths at which no variant has to be hashed for its state, in order, up to limit; 0 is the
// first of them.
func Prefixes(limit int64) []int64 {
	all := []int64{0}
	for _, p := range rungs {
		if p <= limit {
			all = append(all, p)
		}
	}
	for _, c := range Checkpoints(0) {
		if c.Offset <= limit {
			all = append(all, c.Offset)
		}
	}
	return all
}
