package content

import (
	_ "embed"
	"sort"
)

//go:generate go run ./genstates -out states.bin

// states is the committed table, in the order of grid.
//
//go:embed states.bin
var states []byte

// segment is a run of checkpoints of some variants: at step - 64, 2 x step - 64 and so on up to last - 64 bytes, so
// that a file whose size is a multiple of step ends one hash block behind a checkpoint.
type segment struct {
	variants         uint32
	first, step, end int64
}

const (
	mib = int64(1) << 20
	gib = int64(1) << 30

	// MaxSize is the length of the longest stream whose checksums can be known without hours of hashing.
	MaxSize = 1 << 40
	// FineSize is the length up to which any file size is at most fineStep behind a checkpoint.
	FineSize = 16 * gib
	// CoarseStep divides the sizes beyond FineSize.
	CoarseStep = gib
	// Lag is by how much a checkpoint is short of a round size.
	Lag = 64
)

// grid lists the table's checkpoints. Each segment holds variants x count records, variant by variant.
var grid = []segment{
	{LargeVariants, mib, mib, 64 * mib},
	{LargeVariants, 128 * mib, 64 * mib, 4 * gib},
	{1, 4*gib + 64*mib, 64 * mib, FineSize},
	{1, FineSize + gib, CoarseStep, MaxSize},
}

func (g segment) count() int64 { return (g.end-g.first)/g.step + 1 }

// Records is the number of records of the whole table.
func Records() int64 {
	var n int64
	for _, g := range grid {
		n += g.count() * int64(g.variants)
	}
	return n
}

// Checkpoint is one record's place: the state of variant after Offset bytes.
type Checkpoint struct {
	Record  int64
	Variant uint32
	Offset  int64
}

// Checkpoints lists the checkpoints of a variant by offset.
func Checkpoints(variant uint32) []Checkpoint {
	var all []Checkpoint
	var base int64
	for _, g := range grid {
		if variant < g.variants {
			for k := range g.count() {
				all = append(all, Checkpoint{base + int64(variant)*g.count() + k, variant, g.first + k*g.step - Lag})
			}
		}
		base += g.count() * int64(g.variants)
	}
	return all
}

// lookup returns the last checkpoint of the table at or before offset; at is 0 and the state empty if there is none.
func lookup(variant uint32, offset int64) (s State, at int64) {
	var base int64
	for _, g := range grid {
		if variant >= g.variants || offset < g.first-Lag {
			break
		}
		k := min((offset+Lag-g.first)/g.step, g.count()-1)
		r := base + int64(variant)*g.count() + k
		s, at = State(states[r*StateSize:]), g.first+k*g.step-Lag
		base += g.count() * int64(g.variants)
	}
	return s, at
}

// rungs are the offsets below 1 MiB at which the states of a variant are computed when the variant is first used.
// There are eight to an octave.
var rungs = func() []int64 {
	var all []int64
	for k := int64(1); ; k *= 2 {
		for e := int64(8); e < 16; e++ {
			p := k * e * 8 // 64 x e/8 x k
			if p >= mib-Lag {
				return all
			}
			if p%64 == 0 {
				all = append(all, p)
			}
		}
	}
}()

// rungBelow returns the index of the last rung at or below offset, -1 if there is none.
func rungBelow(offset int64) int {
	return sort.Search(len(rungs), func(i int) bool { return rungs[i] > offset }) - 1
}
