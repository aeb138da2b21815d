package memtest

import (
	"runtime"
)

// bucket is a site as the dump has it.
type bucket struct {
	id, size uint64
	frames   []Line
}

type sample struct{ addr, bucket uint64 }

func readProfile(d *dump) (buckets []bucket, samples []sample, err error) {
	err = d.visit(visitor{
		bucket:    func(id, size uint64, frames []Line) { buckets = append(buckets, bucket{id, size, frames}) },
		sample:    func(addr, bucket uint64) { samples = append(samples, sample{addr, bucket}) },
		object:    func(uint64, uint64, []uint64) {},
		goroutine: func(uint64) {},
		frame:     func([]uint64, []uint64) {},
		roots:     func([]uint64) {},
	})
	return buckets, samples, err
}

// match finds the number of each bucket's site. Dump and records list the buckets in one order, the newest first, so
// that they are equal from the end; the depth and the outermost frame prove it.
func match(buckets []bucket, records []runtime.MemProfileRecord, l *ledger) ([]int, error) {
	out := make([]int, len(buckets))
	for i := range buckets {
		b := &buckets[len(buckets)-1-i]
		out[len(buckets)-1-i] = -1
		if i >= len(records) {
			continue
		}
		r := &records[len(records)-1-i]
		depth := 0
		for depth < len(r.Stack0) && r.Stack0[depth] != 0 {
			depth++
		}
		if depth != min(len(b.frames), len(r.Stack0)) || (r.AllocObjects > 0 &&
			uint64(r.AllocBytes/r.AllocObjects) != b.size) {
			return nil, errNoDump
		}
		if n, ok := l.number[r.Stack0]; ok {
			out[len(buckets)-1-i] = n
		}
	}
	return out, nil
}
