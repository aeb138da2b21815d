package growth

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"

	"github.com/memsoak/memsoak/profiles/record"
)

const (
	// reducedShare is the part of the largest total that a place has to have at some time to be kept by itself.
	reducedShare = 0.004
	// reducedCount is how many goroutines a group has to have at some time.
	reducedCount = 4
	// maxReduced is the most bytes that a reduced series is read for, unpacked.
	maxReduced = 64 << 20
)

// Reduce is the series without parts too small to be seen in its verdict: places become one, groups are left out, and
// stacks are cut. It is kilobytes where the profiles were megabytes, and the verdict stays.
func (s Series) Reduce() Series {
	largest, peak := 0.0, map[int]float64{}
	for i := range s.Points {
		largest = max(largest, s.Points[i].total().Bytes)
		for id, a := range s.Points[i].Heap {
			peak[id] = max(peak[id], a.Bytes)
		}
	}
	out := s
	out.Places, out.Groups, out.Points = nil, nil, nil
	places, groups := map[int]int{}, map[int]int{}
	for id, p := range s.Places {
		if peak[id] >= reducedShare*largest {
			places[id] = len(out.Places)
			p.Stack = nil
			out.Places = append(out.Places, p)
		}
	}
	rest := len(out.Places)
	out.Places = append(out.Places, Place{Site: record.Site{Function: "[small places]"}, Key: "[small places]"})
	for id, g := range s.Groups {
		for i := range s.Points {
			if s.Points[i].Routines[id] >= reducedCount {
				groups[id] = len(out.Groups)
				out.Groups = append(out.Groups, g)
				break
			}
		}
	}
	for _, p := range s.Points {
		p.Name, p.Binary = "", ""
		if p.Heap != nil {
			p.Heap = fold(p.Heap, places, rest)
		}
		if p.Routines != nil {
			counts := map[int]int{}
			for id, to := range groups {
				if n := p.Routines[id]; n > 0 {
					counts[to] = n
				}
			}
			p.Routines = counts
		}
		out.Points = append(out.Points, p)
	}
	return out
}

// fold renumbers places and adds those that have no number to the last.
func fold(heap map[int]Amount, places map[int]int, rest int) map[int]Amount {
	out := map[int]Amount{}
	for _, id := range sortedKeys(heap) {
		to, ok := places[id]
		if !ok {
			to = rest
		}
		a, b := out[to], heap[id]
		out[to] = Amount{Bytes: a.Bytes + b.Bytes, Variance: a.Variance + b.Variance, Alloc: a.Alloc + b.Alloc,
			Objects: a.Objects + b.Objects}
	}
	return out
}

// Write writes the series as compressed JSON.
func (s Series) Write(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(s); err != nil {
		return err
	}
	return z.Close()
}

// ReadSeries reads what Write wrote.
func ReadSeries(r io.Reader) (Series, error) {
	var s Series
	z, err := gzip.NewReader(r)
	if err != nil {
		return s, fmt.Errorf("reduced series: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(z, maxReduced)).Decode(&s); err != nil {
		return s, fmt.Errorf("reduced series: %w", err)
	}
	return s, nil
}
