package trial

import (
	"fmt"
	"strings"

	"github.com/google/pprof/profile"
)

// liveBytes is the live heap of a profile: the sum over its sites, those of the profile's own writing left out.
func liveBytes(data []byte) (int64, error) {
	p, err := profile.ParseData(data)
	if err != nil {
		return 0, err
	}
	at := -1
	for i, st := range p.SampleType {
		if st.Type == "inuse_space" {
			at = i
		}
	}
	if at < 0 {
		return 0, fmt.Errorf("profile has no inuse_space")
	}
	own := map[uint64]bool{}
	for _, l := range p.Location {
		for _, line := range l.Line {
			if line.Function != nil && strings.HasPrefix(line.Function.Name, "runtime/pprof.") {
				own[l.ID] = true
			}
		}
	}
	var sum int64
samples:
	for _, s := range p.Sample {
		for _, l := range s.Location {
			if own[l.ID] {
				continue samples
			}
		}
		sum += s.Value[at]
	}
	return sum, nil
}
