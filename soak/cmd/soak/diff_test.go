package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func verdictWith(workers string, head record.Headline, peak int64, costs ...record.Cost) record.Verdict {
	return record.Verdict{Schema: record.VerdictSchema, Cell: record.Cell{"workers": workers}, Outcome: record.OK,
		Headline: head,
		Peak:     record.Peak{RSS: peak}, Costs: costs}
}

func leakOf(function string, bytes float64) record.Cost {
	return record.Cost{Class: record.Leak, Per: "file", Site: record.Site{Function: function}, Bytes: bytes,
		CI95: [2]float64{0.9 * bytes, 1.1 * bytes}}
}

func TestDiffSaysNewOnlyWhereItWouldHaveBeenSeen(t *testing.T) {
	open := verdictWith("1", record.Inconclusive, 40<<20)
	excluded := open
	excluded.Hypotheses = []record.Hypothesis{{Class: record.Leak, Per: "file", State: record.Excluded, Limit: 60}}
	coarse := open
	coarse.Hypotheses = []record.Hypothesis{{Class: record.Leak, Per: "file", State: record.Excluded, Limit: 1 << 20}}
	found := verdictWith("1", record.HeadLeak, 60<<20, leakOf("app.keep", 500))
	for want, tc := range map[string][2]record.Verdict{
		"new":      {excluded, found},
		"not seen": {open, found},
		"gone":     {found, excluded},
		"grew":     {verdictWith("1", record.HeadLeak, 1, leakOf("app.keep", 100)), found},
		"shrank":   {verdictWith("1", record.HeadLeak, 1, leakOf("app.keep", 900)), found},
		"same":     {verdictWith("1", record.HeadLeak, 1, leakOf("app.keep", 510)), found},
	} {
		d := diffOf([]record.Verdict{tc[0]}, []record.Verdict{tc[1]})
		require.Len(t, d.Cells, 1)
		require.Len(t, d.Cells[0].Costs, 1)
		assert.Equal(t, want, d.Cells[0].Costs[0].Change)
	}
	coarse.Headline = record.Healthy
	d := diffOf([]record.Verdict{found}, []record.Verdict{coarse})
	assert.Equal(t, "not seen", d.Cells[0].Costs[0].Change, "its limit is above the cost")
}

func TestDiffPairsCellsAndJoinsTheirTrials(t *testing.T) {
	a := []record.Verdict{verdictWith("1", record.Healthy, 40<<20), verdictWith("1", record.Healthy, 50<<20),
		verdictWith("8", record.Healthy, 90<<20)}
	b := []record.Verdict{verdictWith("1", record.Healthy, 45<<20), verdictWith("1", record.HeadLeak, 48<<20),
		verdictWith("3", record.Healthy, 60<<20)}
	b[1].TopAtPeak = []record.SiteSize{{Site: record.Site{Function: "example.com/app.keep"}, Bytes: 9 << 20}}
	d := diffOf(a, b)
	require.Len(t, d.Cells, 1)
	assert.Equal(t, side{Trials: 2, Outcomes: []string{"ok"}, Headlines: []string{"healthy", "leak"},
		Peak: [2]int64{45 << 20, 48 << 20}}, d.Cells[0].B)
	var out strings.Builder
	writeDiff(&out, d)
	assert.Regexp(t, `(?s)^workers=1\n.*headline +healthy +healthy, leak +differs\n.*peak.*~ \(2 and 2 trials overlap\)`,
		out.String())
	assert.Contains(t, out.String(), "+9.0 MiB  0 B -> 9.0 MiB  app.keep")
	assert.Contains(t, out.String(), "only in A: workers=8\nonly in B: workers=3\n")
}

func TestDiffOfOneTrialEachComparesSettings(t *testing.T) {
	d := diffOf([]record.Verdict{verdictWith("1", record.Healthy, 40<<20)}, []record.Verdict{verdictWith("8",
		record.Healthy, 80<<20)})
	require.Len(t, d.Cells, 1)
	assert.Equal(t, "workers=1 against workers=8", d.Cells[0].Cell)
	var out strings.Builder
	writeDiff(&out, d)
	assert.Contains(t, out.String(), "+100 % (one trial each)")
}

func TestDiffRefusesWhatIsNoRecording(t *testing.T) {
	_, err := verdictsOf(t.TempDir())
	require.Error(t, err)
	_, err = verdictsOf("nowhere")
	assert.ErrorContains(t, err, "no directory of a run")
}

func TestACostOfOneByteIsNotNone(t *testing.T) {
	for bytes, want := range map[float64]string{0: "0 B", 0.97: "0.97 B", 0.031: "0.031 B", 1.5: "1.5 B"} {
		assert.Equal(t, want, estimateText(&estimate{Bytes: bytes}))
	}
}
