package costs

import "github.com/memsoak/memsoak/profiles/record"

// ByNature is 0 for what grows without bound as the work grows, 1 for what settings bound.
func ByNature(f record.Finding) int {
	if KindOf(f) == "" {
		return 1
	}
	return 0
}

// KindOf is the headline that a finding makes by its nature, empty for what settings bound.
func KindOf(f record.Finding) record.Headline {
	h := f.Class.Headline()
	if !f.Class.Fault() && !f.Unreclaimable || h == record.HeadOffHeap && f.Slope == nil {
		return ""
	}
	if h == record.HeadOffHeap {
		switch f.Slope.Per {
		case "worker", "connection", "goroutine":
			return ""
		}
	}
	return h
}
