package capture

import (
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// DropReadings takes out of a heap profile what the taking of profiles itself allocated, and returns the bytes or
// counts that each sample type lost. A process that is read every second for minutes has allocated more for its
// readings than for its work, and a flame graph of alloc_space shows little else.
func DropReadings(p *profile.Profile) []int64 {
	lost := make([]int64, len(p.SampleType))
	p.Sample = slices.DeleteFunc(p.Sample, func(s *profile.Sample) bool {
		if !slices.ContainsFunc(s.Location, reads) {
			return false
		}
		for i, v := range s.Value {
			lost[i] += v
		}
		return true
	})
	return lost
}

func reads(l *profile.Location) bool {
	return slices.ContainsFunc(l.Line, func(ln profile.Line) bool { return ln.Function != nil && Reads(ln.Function.Name) })
}

// Reads reports whether a function takes profiles or traces. Do and WithRegion, which run a program's own work under
// labels, are in the same packages and take none.
func Reads(function string) bool {
	for _, pkg := range []string{"net/http/pprof.", "runtime/pprof.", "runtime/trace."} {
		if rest, ok := strings.CutPrefix(function, pkg); ok {
			return !slices.Contains(labelled, rest)
		}
	}
	return false
}

// labelled are the functions that call the program's own work.
var labelled = []string{"Do", "WithRegion"}
