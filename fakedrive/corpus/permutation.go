package corpus

import (
	"math"

	"github.com/memsoak/memsoak/fakedrive/corpus/internal/content"
)

// permutation is a bijection of the numbers below n: i -> (factor x i + shift) mod n. It spreads neighbours evenly, so
// that every part of a listing has its share of each kind and size.
type permutation struct {
	n                       int64
	factor, shift, inverted uint64
}

// slopes are the fractions of n near which the factors lie, one for each salt: irrational numbers that are far from
// small fractions, so that neighbours end up far apart, and far from each other, so that two permutations don't agree.
var slopes = [...]float64{
	math.Sqrt2 - 1, math.Sqrt(3) - 1, math.Phi - 1, math.Sqrt(6) - 2, math.Sqrt(7) - 2, math.Sqrt(11) - 3,
	math.Sqrt(13) - 3, math.Sqrt(14) - 3,
}

// newPermutation draws a permutation of n numbers from a key and a salt. n is at most MaxFiles.
func newPermutation(n int64, key, salt uint64) permutation {
	if n <= 1 {
		return permutation{n: n}
	}
	h := content.Mix(key + salt*0x9e3779b97f4a7c15)
	m := uint64(n)
	factor := uint64(slopes[salt%uint64(len(slopes))]*float64(m)) + h%(m/1000+1)
	p := permutation{n: n, factor: factor, shift: content.Mix(h) % m}
	for ; ; p.factor++ {
		if inv, ok := modInverse(p.factor%m, m); ok {
			p.factor, p.inverted = p.factor%m, inv
			return p
		}
	}
}

func (p *permutation) at(i int64) int64 {
	if p.n <= 1 {
		return i
	}
	return int64((uint64(i)*p.factor + p.shift) % uint64(p.n))
}

func (p *permutation) inverse(k int64) int64 {
	if p.n <= 1 {
		return k
	}
	m := uint64(p.n)
	return int64((uint64(k) + m - p.shift) % m * p.inverted % m)
}

// modInverse returns the inverse of a modulo m, if a and m have no common divisor. Both are below 2^31.
func modInverse(a, m uint64) (uint64, bool) {
	r0, r1, s0, s1 := int64(m), int64(a), int64(0), int64(1)
	for r1 != 0 {
		q := r0 / r1
		r0, r1 = r1, r0-q*r1
		s0, s1 = s1, s0-q*s1
	}
	if r0 != 1 {
		return 0, false
	}
	if s0 < 0 {
		s0 += int64(m)
	}
	return uint64(s0), true
}
