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
	switch f.Class {
	case record.Leak, record.GoroutineLeak, record.ConnectionLeak:
		return record.HeadLeak
	case record.Metadata:
		return record.HeadMetadata
	case record.BufferFile:
		return record.HeadBuffer
	case record.OffHeap, record.PageCache:
		if f.Class == record.PageCache && !f.Unreclaimable || f.Slope == nil {
			return ""
		}
		switch f.Slope.Per {
		case "worker", "connection", "goroutine":
			return ""
		}
		return record.HeadOffHeap
	}
	return ""
}
