package growth

import (
	"fmt"
	"math"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// anywhere stands for the address of a process that isn't known.
const anywhere = "http://HOST:PORT/debug/pprof"

const (
	shortest = 10 * time.Minute
	longest  = 24 * time.Hour
)

// advise says what would make the answer sure, as one command.
func advise(g *record.Growth, s *Series, pprof string) {
	if pprof == "" {
		pprof = anywhere
	}
	watch := func(d time.Duration) string { return fmt.Sprintf("soak record --pprof %s --for %s", pprof, short(d)) }
	span := g.To.Sub(g.From)
	if !s.Timed {
		span = 0
	}
	t := &g.Total
	switch {
	case g.Difference:
		g.Reason = "it is a difference of two profiles, made by somebody else"
		g.Next, g.Command = "give the two profiles themselves, or record the process", "soak diagnose BEFORE AFTER"
	case g.Allocated:
		g.Reason = "what was allocated says nothing of what is kept"
		g.Next, g.Command = "record the live heap", watch(shortest)
	case g.Profiles == 0:
		g.Reason = "there is no heap profile, only goroutines"
		g.Next, g.Command = "record heap and goroutines together", watch(shortest)
	case g.Profiles == 1:
		g.Reason = "one profile says what is there, not what grows"
		g.Next, g.Command = "record how it goes on", watch(shortest)
	case t.State == record.Found || anyFound(g):
		if t.State == record.Open {
			g.Reason = "the whole goes up and down too much for an answer; what is sure is marked so"
		}
		g.Next = "take the load away while it is recorded, then bring it back: what stays is kept, the rest was work; " +
			"what grows again with the same work isn't a cache"
		g.Command = watch(more(span, 1))
	case t.State == record.Excluded:
		g.Next = "a longer recording would show slower growth"
		g.Command = watch(more(span, 4))
	case t.Slack:
		g.Reason = "it rose, and then stayed while the process allocated or finished far less: so does what leaks, " +
			"without work"
		if !s.Allocs {
			g.Reason = "it rose and then stayed, and nothing tells whether the process went on working"
		}
		g.Next, g.Command = "record it under a load that does not end", watch(more(span, 1))
	case t.Shape == record.Levelled:
		g.Reason = "it flattens, but still rose at the end"
		g.Next, g.Command = "see whether it stays", watch(more(span, 2))
	case g.Profiles >= minCurve && g.Collections < minCurve:
		g.Reason = fmt.Sprintf("only %d of %d profiles are of different collections, and it takes %d", g.Collections,
			g.Profiles, minCurve)
		g.Next, g.Command = "have the heap collected before each profile", watch(more(span, 1))+" --gc"
	case g.Profiles < minCurve:
		g.Reason = fmt.Sprintf("%d profiles can't tell growth from ups and downs; it takes %d", g.Profiles, minCurve)
		g.Next, g.Command = "record more of them", watch(more(span, 2))
	default:
		g.Reason = "what grew is not far enough above what sampling and ups and downs make"
		g.Next = "record for longer: growth adds up with the time, noise only with its square root"
		g.Command = watch(more(span, longer(t)))
	}
}

func anyFound(g *record.Growth) bool {
	for _, c := range g.Causes {
		if c.State == record.Found {
			return true
		}
	}
	for _, r := range g.Routines {
		if r.State == record.Found {
			return true
		}
	}
	return false
}

// longer is by how much a recording has to be longer for growth like this to be sure.
func longer(t *record.Curve) float64 {
	if t.Grew() <= 0 || t.Noise <= 0 {
		return 4
	}
	z := (sureSize + 1) * t.Noise / t.Grew()
	return math.Min(24, math.Max(2, z*z))
}

// more is a span of time times a factor, within what people wait for, in whole minutes.
func more(span time.Duration, times float64) time.Duration {
	d := time.Duration(float64(span) * times).Round(time.Minute)
	return min(longest, max(shortest, d))
}

// short writes a duration as flags take it, without zero parts.
func short(d time.Duration) string {
	h, m := int(d.Hours()), int(d.Minutes())%60
	switch {
	case h == 0:
		return fmt.Sprintf("%dm", m)
	case m == 0:
		return fmt.Sprintf("%dh", h)
	}
	return fmt.Sprintf("%dh%dm", h, m)
}
