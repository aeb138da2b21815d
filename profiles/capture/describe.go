package capture

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"
)

// symbolize gives locations without a function one that is named by the address, so that none of their bytes is lost.
func (c *Capture) symbolize() {
	p := c.Profile
	bare, zero := 0, 0
	next := uint64(1)
	for _, f := range p.Function {
		next = max(next, f.ID+1)
	}
	for _, l := range p.Location {
		if l.Address == 0 {
			zero++
		}
		named := false
		for _, ln := range l.Line {
			named = named || ln.Function != nil && ln.Function.Name != ""
		}
		if named {
			continue
		}
		bare++
		name := "[unknown]"
		if l.Address != 0 {
			name = fmt.Sprintf("0x%x", l.Address)
		}
		f := &profile.Function{ID: next, Name: name, SystemName: name}
		next++
		p.Function = append(p.Function, f)
		l.Line = []profile.Line{{Function: f}}
	}
	if bare > 0 {
		how := "'go tool pprof -proto -symbolize=local PROGRAM FILE > symbolized.pb.gz' names them, by the program that ran"
		if zero == len(p.Location) {
			how = "it has no addresses either, so nothing can name them: fetch it from the process again"
		}
		c.note(Unsymbolized, "%d of %d places have no function; %s", bare, len(p.Location), how)
	}
	if zero > 0 && zero == len(p.Location) && bare == 0 && !c.Has(LegacyText) {
		c.note(NoAddresses, "it has no addresses, as continuous profilers export: functions and lines are used")
	}
}

// describe notes what else a reader has to know.
func (c *Capture) describe() {
	p := c.Profile
	if p.TimeNanos <= 0 {
		c.note(NoTime, "no time inside")
	}
	if c.Kind != Heap {
		return
	}
	switch {
	case c.InuseBytes == Missing:
		c.note(AllocOnly, "it has no inuse_space: it says what was allocated since the process began, freed or not, and "+
			"nothing of what is live")
	case c.InuseObjects == Missing && c.AllocBytes == Missing:
		c.note(OneType, "it has inuse_space alone: without inuse_objects and alloc_space sampling noise is bounded and "+
			"not computed, and restarts are not seen")
	case c.AllocBytes == Missing:
		c.note(NoAlloc, "it has no alloc_space, as continuous profilers keep it: restarts of the process are not seen")
	}
	if p.Period <= 0 && c.InuseBytes != Missing {
		c.note(NoPeriod, "its sampling rate is not in it; 512 KiB, Go's default, is assumed")
	}
	c.describeSamples()
	if len(p.Mapping) > 0 && strings.HasSuffix(filepath.Base(p.Mapping[0].File), ".test") {
		c.note(TestBinary, "of a test program: what go test -memprofile writes is what was live once all tests had ended")
	}
}

func (c *Capture) describeSamples() {
	var plus, minus, lost int64
	negative := 0
	main := c.InuseBytes
	if main == Missing {
		main = c.AllocBytes
	}
	for _, s := range c.Profile.Sample {
		v := c.Value(s, main)
		if v < 0 {
			negative++
			minus -= v
		} else {
			plus += v
		}
		if len(s.Location) == 0 {
			lost += v
		}
	}
	if d := time.Duration(c.Profile.DurationNanos); negative == 0 && d > 0 && c.netOfAll() {
		c.note(Difference, "it covers %s, as ?seconds= gives it: a difference of two profiles, not what is live", d)
	}
	if negative > 0 {
		c.note(Difference, "a difference of two profiles (%d of %d samples are negative): %s more and %s less, not "+
			"what is live",
			negative, len(c.Profile.Sample), megabytes(plus), megabytes(minus))
	}
	if lost != 0 {
		c.note(Stackless, "%s have no stack", megabytes(lost))
	}
}

// netOfAll reports whether all live bytes may be allocated within the profile's time, as in a difference of two
// profiles. Exporters that give a time to live bytes, beside those allocated in it, have more live somewhere.
func (c *Capture) netOfAll() bool {
	return c.InuseBytes != Missing && c.AllocBytes != Missing && !slices.ContainsFunc(c.Profile.Sample,
		func(s *profile.Sample) bool { return c.Value(s, c.InuseBytes) > c.Value(s, c.AllocBytes) })
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// DefaultPeriod is Go's own sampling rate in bytes.
const DefaultPeriod = 512 << 10

// Period is the sampling rate in bytes: the profile's own, else DefaultPeriod. Deltas that a continuous profiler makes
// have the interval in nanoseconds in its place, which is no rate.
func (c *Capture) Period() float64 {
	p := c.Profile
	if p.Period <= 0 || p.Period > 1<<30 || p.PeriodType != nil && p.PeriodType.Unit != "bytes" &&
		p.PeriodType.Unit != "" {
		return DefaultPeriod
	}
	return float64(p.Period)
}
