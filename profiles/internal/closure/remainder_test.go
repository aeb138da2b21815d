package closure

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/finding"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/profiles/trend"
)

// TestOneSampleOfTheRuntimeIsNotTakenOffAnExactTotal has a sample of 512 KiB of the runtime's own come in the middle of
// a leak of as much. To take it off would hide the leak.
func TestOneSampleOfTheRuntimeIsNotTakenOffAnExactTotal(t *testing.T) {
	const rate = 512 << 10
	s := &series.Series{Rate: rate, Snaps: []*series.Snapshot{{Sites: []series.Amount{{}}}, {}},
		Sites: []*blame.Site{{Owner: blame.OwnerRuntime, Stack: []blame.Frame{{Function: "runtime.malg"}}}}}
	one := series.Amount{Bytes: rate, Objects: 1, Variance: trend.Square(rate)}
	s.Snaps[1].Sites = []series.Amount{one}
	assert.Empty(t, members(s, nil, true))
	assert.NotEmpty(t, members(s, nil, false), "a total of samples has it")
	s.Snaps[1].Sites[0] = series.Amount{Bytes: 9 * rate, Objects: 9, Variance: 9 * trend.Square(rate)}
	assert.NotEmpty(t, members(s, nil, true))
}

// TestEveryFaultByNatureHasAHypothesis keeps healthy from being said of a fault that no trial looks for.
func TestEveryFaultByNatureHasAHypothesis(t *testing.T) {
	for _, c := range record.Classes() {
		if c.Fault() {
			assert.True(t, slices.ContainsFunc(hypotheses, func(h hypothesis) bool { return h.class == c }), "class %s", c)
		}
	}
}

func TestALineIsNamedOnceItHasSamples(t *testing.T) {
	const rate = 4 << 10
	r := &remainder{}
	assert.True(t, r.unsampled(rate), "no line at all")
	r.sites = []record.SiteSize{{Bytes: 10 * rate}, {Bytes: 8 * rate}}
	assert.True(t, r.unsampled(rate))
	r.sites[0].Bytes = 20 * rate
	assert.False(t, r.unsampled(rate), "more samples of it name no other line")
}

// TestGrowthThatIsPlainToSeeIsNotBelowALimit has growth of a known total that no line was sampled of: less than a wider
// target, more than the contract's.
func TestGrowthThatIsPlainToSeeIsNotBelowALimit(t *testing.T) {
	r := &remainder{noise: 4 << 10, grown: 840 << 10}
	assert.True(t, r.plain(nil, 5800), "148 B a file")
	assert.True(t, r.plain(nil, 14000), "61 B a file, where three quarters of 64 B are found by themselves")
	assert.False(t, r.plain(nil, 20000), "43 B a file")
	r.noise = 400 << 10
	assert.False(t, r.plain(nil, 5800), "it wanders by as much")
	r.noise = 0
	leak := &finding.Judged{Finding: record.Finding{Class: record.Leak}}
	assert.False(t, r.plain([]*finding.Judged{leak}, 5800), "a fault says why")
}

// TestGarbageOfALineDoesNotNameWhatItHolds has most of the live heap at one line, whose only finding is of garbage.
func TestGarbageOfALineDoesNotNameWhatItHolds(t *testing.T) {
	const held = 8 << 20
	site := &blame.Site{Site: record.Site{Function: "conns.newSession"}, Owner: blame.OwnerUser}
	live := func(st record.State, bytes float64) *series.Snapshot {
		n := &series.Snapshot{Profiled: true, Sites: []series.Amount{{Bytes: bytes}}, Live: series.Amount{Bytes: bytes}}
		n.State = st
		return n
	}
	s := &series.Series{Trial: &record.Trial{}, Sites: []*blame.Site{site},
		Snaps: []*series.Snapshot{live(record.StateFloor, 0), live(record.StateReply, 0),
			live(record.StateHigh, held)}}
	found := []*finding.Judged{{Finding: record.Finding{Class: record.GCHeadroom, Site: site.Site}}}
	assert.Zero(t, unnamed(s, found), "it holds nothing: garbage it is")
	s.Snaps[1].Sites[0].Bytes = held
	assert.Equal(t, int64(held), unnamed(s, found).Bytes)
	found[0].Class = record.BufferPool
	assert.Zero(t, unnamed(s, found))
}
