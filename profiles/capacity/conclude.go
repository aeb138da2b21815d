package capacity

// An answer that is taken back: by the run's own trials, or by a real trial of it.

import (
	"fmt"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// Verify takes a real trial into an answer: a kill refutes it, and survival with files of the planned size answers what
// hung on that size alone.
func Verify(c *record.Capacity, t record.HeldTrial) {
	c.Verified = append(c.Verified, t)
	switch {
	case t.Outcome != record.OK && t.Workers <= max(c.MaxWorkers, c.Estimate):
		if c.KilledAt == 0 || t.Workers < c.KilledAt {
			c.KilledAt = t.Workers
		}
		unanswer(c)
		c.UntriedSize = false
		c.Unknown = []string{fmt.Sprintf("the model's %d workers were killed with files of %s: it misses something",
			t.Workers, words.Bytes(float64(t.FileSize)))}
		c.Decides = "soak limit --workers --limit " + sizeFlag(c.Limit)
	case t.Outcome != record.OK && t.Workers <= c.Perhaps:
		c.Perhaps = t.Workers - 1
		if c.Perhaps <= max(c.MaxWorkers, 0) {
			c.Perhaps, c.Decides = 0, ""
		}
	case t.Outcome == record.OK && c.UntriedSize && t.FileSize >= c.LargestFile && t.Workers == c.Estimate:
		c.MaxWorkers, c.AtLeast, c.UntriedSize, c.Unknown, c.Decides = t.Workers, true, false, nil, ""
	}
	c.Answer = words.Capacity(c)
}

// conclude takes back an answer that something keeps from being one. A kill of a single worker answers by itself.
func conclude(c *record.Capacity, p costs.Plan, g grounds) {
	if g.killedAt == 1 {
		c.MaxWorkers, c.Unknown, c.AtLeast, c.Extrapolated = -1, nil, false, nil
		return
	}
	if len(c.Unknown) > 0 {
		unanswer(c)
	}
	if len(c.Unknown) > 0 || c.Perhaps > 0 {
		c.Decides = decides(c, p, g)
	}
}

// unanswer takes back all that a reader, or a program that reads the JSON, would rest on.
func unanswer(c *record.Capacity) {
	c.MaxWorkers, c.AtLeast, c.Perhaps, c.Fits, c.Mended = 0, false, 0, nil, 0
}

// decides names the run that would decide.
func decides(c *record.Capacity, p costs.Plan, g grounds) string {
	limit := sizeFlag(p.Limit)
	switch {
	case g.seen == 0:
		return "a run whose trials do their work, end well and are conclusive: soak run --axis workers=1,4,16 --limit " +
			limit
	case c.Words.Item == record.ItemRequest:
		return TryOut(c)
	case p.LargestFile > g.held && !c.BytesInFlight:
		return fmt.Sprintf("soak plan RUN --limit %s --largest-file %s --verify", limit, sizeFlag(p.LargestFile))
	}
	return "soak limit --workers --limit " + limit
}

// TryOut is the run of a service that shows whether an answer holds: so many requests in flight below the limit.
func TryOut(c *record.Capacity) string {
	setting := "workers"
	if c.Words.InFlight {
		setting = "concurrency"
	}
	n, memlimit := max(c.MaxWorkers, 1), ""
	if c.MaxWorkers == 0 {
		n = max(c.Estimate, 1)
	}
	if c.GOMEMLIMIT > 0 {
		memlimit = " --set gomemlimit=" + sizeFlag(c.GOMEMLIMIT)
	}
	return fmt.Sprintf("soak run --subject FILE --set %s=%d%s --limit %s", setting, n, memlimit, sizeFlag(c.Limit))
}

// sizeFlag writes a size as flags take it: exact, in the largest whole unit.
func sizeFlag(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n > 0 && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
