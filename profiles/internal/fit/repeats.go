package fit

import (
	"math"

	"github.com/memsoak/memsoak/profiles/internal/series"
)

const (
	// newShare is the part of the files between two floors that may be new where a wave is repeated.
	newShare = 0.1
	// leastRepeated is what repeated files have to add, if they add as much as new ones, to stand out from nothing.
	leastRepeated = 32 << 10
	// eachShare is the part of what new files add from which repeated ones add as much.
	eachShare = 0.75
	// outOfQuestion is the penalty of different items then: a few sampled objects don't outweigh it, many at a site of its
	// own do.
	outOfQuestion = 10
)

// repeated is what repeated files add to the whole live heap as a part of what as many new ones add. It is not a number
// where totals are not exact or too little was repeated.
func repeated(s *series.Series) float64 {
	q, exact := Total(s)
	if !exact {
		return math.NaN()
	}
	var fresh, again struct{ files, bytes float64 }
	idx := Rest(s, q)
	for k := 1; k < len(idx); k++ {
		a, b := s.Snaps[idx[k-1]].Cov(), s.Snaps[idx[k]].Cov()
		sum, files := &fresh, float64(b.FilesDone-a.FilesDone)
		if float64(b.Distinct-a.Distinct) < newShare*files {
			sum = &again
		}
		if files > 0 {
			sum.files, sum.bytes = sum.files+files, sum.bytes+q.Values[idx[k]]-q.Values[idx[k-1]]
		}
	}
	if expected := fresh.bytes / fresh.files * again.files; expected >= leastRepeated {
		return again.bytes / expected
	}
	return math.NaN()
}

// weigh puts different items out of question where repeated ones leave as much. That they leave nothing says less: a
// container that doubles grows in few of all waves.
func weigh(s *series.Series, retained []Unit) {
	if !(repeated(s) >= eachShare) {
		return
	}
	for i := range retained {
		if retained[i].Name == "distinct-item" {
			retained[i].Penalty += outOfQuestion
		}
	}
}
