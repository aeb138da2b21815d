package costs

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestTablesOfTrialsAreJoinedRowByRow(t *testing.T) {
	row := func(class record.Class, function, per string, bytes float64) record.Cost {
		return record.Cost{Class: class, Site: record.Site{Function: function}, Per: per, Bytes: bytes,
			CI95: [2]float64{bytes - 2, bytes + 2}}
	}
	got := OfRun([][]record.Cost{
		{row(record.Leak, "a", "file", 100), row(record.BufferWorker, "a", "worker", 9)},
		{row(record.Leak, "a", "file", 110)},
		{row(record.Metadata, "a", "distinct-item", 105)}, // the same bytes by another unit
		{row(record.Metadata, "b", "listed-file", 7)},
	})
	require.Len(t, got, 3)
	assert.Equal(t, "file", got[0].Per)
	assert.InDelta(t, 105, got[0].Bytes, 1e-9)
	assert.GreaterOrEqual(t, got[0].CI95[1], 110.0, "the interval covers how far trials differ")
	assert.Equal(t, []string{"worker", "listed-file"}, []string{got[1].Per, got[2].Per},
		"what one trial has beside it stays")
}

// TestWhatIsInFlightCountsOnce has a buffer that two trials see by the worker, and one by its bytes too.
func TestWhatIsInFlightCountsOnce(t *testing.T) {
	row := func(per string, bytes float64) record.Cost {
		return record.Cost{Class: record.BufferWorker, Site: record.Site{Function: "a"}, Per: per, Bytes: bytes}
	}
	leak := record.Cost{Class: record.Leak, Site: record.Site{Function: "a"}, Per: "file", Bytes: 64}
	by := func(tables ...[]record.Cost) map[string]float64 {
		out := map[string]float64{}
		for _, c := range OfRun(tables) {
			out[c.Per] = c.Bytes
		}
		return out
	}
	workers, both := []record.Cost{row("worker", 20)}, []record.Cost{row("byte-in-flight", 1.2), row("worker", 7), leak}
	assert.Equal(t, map[string]float64{"worker": 20, "file": 64}, by(workers, both, workers), "and what stays, stays")
	assert.Equal(t, map[string]float64{"worker": 7, "byte-in-flight": 1.2, "file": 64}, by(workers, both, both))
	offHeap := record.Cost{Class: record.OffHeap, Per: "second", Bytes: 9} // of no function
	assert.Equal(t, map[string]float64{"worker": 20, "second": 9},
		by(append(workers, offHeap), []record.Cost{offHeap}, []record.Cost{offHeap}), "of one trial, by nothing else")
}

func TestVerdictsWithoutATableHaveTheirSlopesAsRows(t *testing.T) {
	v := &record.Verdict{Findings: []record.Finding{
		{Class: record.Leak, Slope: &record.Slope{Bytes: 64, Per: "file"}}, {Class: record.BufferWorker,
			Slope: &record.Slope{Bytes: 1, Per: "worker"}}, {Class: record.GCHeadroom}}}
	got := Of(v)
	require.Len(t, got, 2)
	assert.False(t, got[0].Bounded)
	assert.True(t, got[1].Bounded)
	assert.InDelta(t, 64, Growth(got, Rates{}), 1e-9)
}

func TestTwoStacksOfOneFunctionAddUp(t *testing.T) {
	row := record.Cost{Class: record.GoroutineLeak, Site: record.Site{Function: "a.send", Line: 7}, Per: "file",
		Bytes: 2000, CI95: [2]float64{1970, 2030},
		Parts: map[string]float64{record.PartStacks: 1900, record.PartLive: 100}}
	other := row
	other.Bytes, other.CI95, other.Parts = 1000, [2]float64{960, 1040}, nil
	got := OfRun([][]record.Cost{{row, other}})
	require.Len(t, got, 1)
	assert.Equal(t, 3000.0, got[0].Bytes, "each file leaves both")
	assert.InDelta(t, 100, got[0].CI95[1]-got[0].CI95[0], 1e-9)
	assert.Equal(t, 1100.0, got[0].Parts[record.PartLive])
	assert.Equal(t, 1900.0, got[0].Parts[record.PartStacks])
	assert.Equal(t, Growth([]record.Cost{row, other}, Rates{}), Growth(got, Rates{}))
}

func TestSuspectsHaveNoCosts(t *testing.T) {
	v := &record.Verdict{Findings: []record.Finding{{Class: record.Leak, Slope: &record.Slope{Bytes: 64, Per: "file"}}}}
	require.Len(t, Of(v), 1, "a verdict from before there was a table")
	v.Hypotheses = []record.Hypothesis{{Class: record.Leak, Per: "file"}}
	require.Empty(t, Of(v))
}

// TestARowIsCopiedIfOneOfItsPartsIs: two lines of a function, and two trials of which one saw the array grow.
func TestARowIsCopiedIfOneOfItsPartsIs(t *testing.T) {
	plain := record.Cost{Class: record.Leak, Site: record.Site{Function: "a.keep"}, Per: "file", Bytes: 8}
	array := plain
	array.Copied = true
	for _, tables := range [][][]record.Cost{{{plain, array}}, {{plain}, {array}}} {
		got := OfRun(tables)
		require.Len(t, got, 1)
		assert.Equal(t, got[0].Bytes, Copies(got[0]))
	}
	array.Bounded = true
	assert.Zero(t, Copies(array), "what is bounded is copied no more")
}

// TestABoundHoldsWhateverTheUnit keeps a full queue from being multiplied by all files of the plan.
func TestABoundHoldsWhateverTheUnit(t *testing.T) {
	for _, per := range []string{"backlog-item", "distinct-item"} {
		units, ok := Rates{}.Planned(per, 37, Plan{Files: 1e6}, 1)
		assert.True(t, ok)
		assert.EqualValues(t, 37, units, per)
	}
}
