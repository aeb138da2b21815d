package capacity

// An answer that is taken back: by the run's own trials, or by a real trial of it.

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// timesVerified is how often more workers than the model has for safe must survive to count as that: kills depend on
// timing.
const timesVerified = 3

// Verify takes a real trial into an answer: an end other than its own refutes it, survival with files of the planned
// size answers what hung on that size alone, and within a range both narrow it.
func Verify(c *record.Capacity, t record.HeldTrial) {
	c.Verified = append(c.Verified, t)
	if t.Outcome == record.OOMKilled && (c.KilledAt == 0 || t.Workers < c.KilledAt) {
		c.KilledAt = t.Workers
	}
	switch {
	case t.Outcome != record.OK && t.Workers <= max(c.MaxWorkers, c.Estimate):
		unanswer(c)
		c.UntriedSize = false
		how := "were killed"
		if t.Outcome != record.OOMKilled {
			how = "ended as " + string(t.Outcome)
		}
		c.Unknown = []string{fmt.Sprintf("the model's %s %s with files of %s: it misses something",
			words.Count(t.Workers, "worker"), how, words.Bytes(float64(t.FileSize)))}
		c.Decides = limitOfWorkers(c)
	case t.Outcome != record.OK && t.Workers <= c.Perhaps:
		c.Perhaps = t.Workers - 1
	case t.Outcome == record.OK && t.Workers <= c.Perhaps && survivals(c, t.Workers) >= timesVerified:
		c.MaxWorkers, c.AtLeast, c.Binds = t.Workers, c.AtLeast || t.Workers == c.Perhaps && c.KilledAt == 0, ""
	case t.Outcome == record.OK && c.UntriedSize && t.FileSize >= c.LargestFile && t.Workers == c.Estimate:
		c.MaxWorkers, c.AtLeast, c.UntriedSize, c.Unknown, c.Decides = t.Workers, true, false, nil, ""
	}
	if c.Perhaps > 0 && c.Perhaps <= c.MaxWorkers || c.Perhaps <= 0 && c.MaxWorkers < 0 {
		c.Perhaps, c.Decides = 0, ""
	}
	c.Answer = words.Capacity(c)
}

// survivals counts the verified trials of so many workers that survived.
func survivals(c *record.Capacity, workers int) int {
	n := 0
	for _, t := range c.Verified {
		if t.Workers == workers && t.Outcome == record.OK {
			n++
		}
	}
	return n
}

// conclude takes back an answer that something keeps from being one. A kill of a single worker answers by itself.
func conclude(c *record.Capacity, p costs.Plan, g grounds) {
	if g.killedAt == 1 {
		unanswer(c)
		c.MaxWorkers, c.Unknown, c.UntriedSize, c.Extrapolated, c.Estimate, c.GOMEMLIMIT = -1, nil, false, nil, 0, 0
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
	c.MaxWorkers, c.AtLeast, c.Perhaps, c.Fits, c.Mended, c.Sizes, c.Settings = 0, false, 0, nil, 0, nil, nil
	if c.Smallest != nil {
		c.Smallest = &record.Smallest{Workers: c.Smallest.Workers}
	}
}

// decides names the run that would decide.
func decides(c *record.Capacity, p costs.Plan, g grounds) string {
	limit := units.Bytes(p.Limit).String()
	switch {
	case g.seen == 0:
		counts := "1,4,16"
		if g.killedAt > 1 {
			counts = fmt.Sprint(g.killedAt / 2)
		}
		return fmt.Sprintf("a run whose trials do their work, end well and are conclusive: soak run --axis workers=%s "+
			"--limit %s%s", counts, limit, c.Again)
	case c.Words.Item == record.ItemRequest:
		return TryOut(c)
	case c.Perhaps > 0, p.LargestFile > g.held && !c.BytesInFlight:
		return fmt.Sprintf("soak plan RUN --limit %s --largest-file %s --verify", limit, units.Bytes(p.LargestFile).String())
	}
	return limitOfWorkers(c)
}

// limitOfWorkers is the search by real kills, with the GOMEMLIMIT of the answer.
func limitOfWorkers(c *record.Capacity) string {
	out := "soak limit --workers --limit " + units.Bytes(c.Limit).String() + c.Again
	if c.GOMEMLIMIT > 0 {
		out += " --set gomemlimit=" + units.Bytes(c.GOMEMLIMIT).String()
	}
	return out
}

// TryOut is the run of a service that shows whether an answer holds, or how far its range does: so many requests in
// flight below the limit.
func TryOut(c *record.Capacity) string {
	setting := "workers"
	if c.Words.InFlight {
		setting = "concurrency"
	}
	n, memlimit := max(c.MaxWorkers, c.Perhaps, 1), ""
	if c.MaxWorkers == 0 {
		n = max(c.Estimate, 1)
	}
	if c.GOMEMLIMIT > 0 {
		memlimit = " --set gomemlimit=" + units.Bytes(c.GOMEMLIMIT).String()
	}
	return fmt.Sprintf("soak run --set %s=%d%s --limit %s%s", setting, n, memlimit, units.Bytes(c.Limit).String(),
		cmp.Or(c.Again, " --subject FILE"))
}

// SameAs are the flags by which another run has the subject, the work and the fixed settings of one with this
// configuration, but for those that an answer is about.
func SameAs(config map[string]any) string {
	out := ""
	add := func(flag string, value any) {
		if text := fmt.Sprint(value); value != nil && text != "" {
			if strings.ContainsAny(text, " '\"$&;|<>()*?") {
				text = strconv.Quote(text)
			}
			out += " --" + flag + " " + text
		}
	}
	add("subject", config["subject_file"])
	add("corpus", config["corpus"])
	set, _ := config["set"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !slices.Contains([]string{"workers", "concurrency", "limit", "gomemlimit"}, name) {
			add("set", name+"="+fmt.Sprint(set[name]))
		}
	}
	return out
}
