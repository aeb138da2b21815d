package migrator

import (
	"sync/atomic"
	"time"
)

// Stats count what happens in this process, for metrics and progress. Safe for concurrent use.
type Stats struct {
	Pages, Retries, Reopened, RateLimited, Paused                               atomic.Int64
	Found, FoundBytes, Copied, Skipped, Filtered, Unavailable, Failed, Verified atomic.Int64
	// content bytes read from the source
	Bytes    atomic.Int64
	InFlight atomic.Int64
}

// Event is one thing that happened, as Config.OnEvent receives it and --json prints it.
type Event struct {
	Time time.Time `json:"time"`
	// copied, would-copy, skipped, failed, unavailable, filtered, verified, listed, retry, paused; the command adds
	// waiting
	Type   string        `json:"event"`
	ID     string        `json:"id,omitempty"`
	Key    string        `json:"key,omitempty"`
	Bytes  int64         `json:"bytes,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Detail string        `json:"detail,omitempty"`
	Wait   time.Duration `json:"wait,omitempty"` // nanoseconds, of retry and paused
}
