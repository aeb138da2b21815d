package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/bisect"
)

func TestBisectSaysWhyARevisionIsSkipped(t *testing.T) {
	v := &record.Verdict{Headline: record.Inconclusive, Hypotheses: []record.Hypothesis{{Class: record.Leak, Per: "file",
		Needs: "900 files"}}}
	run := &gate.Run{Cells: []gate.CellData{{Cell: record.Cell{"workers": "4"}, Trials: []gate.TrialData{{
		Trial: &record.Trial{Index: 1, Outcome: record.OK, Work: record.Work{Files: 9}}, Verdict: v}}}}}
	j := &bisectJudge{flags: bisectFlags{class: "leak"}}
	for _, want := range []struct {
		judgement bisect.Judgement
		detail    string
	}{
		{bisect.Skip, "cell workers=4 has no conclusive verdict: trial 1 leaves leak per file open: 900 files"},
		{bisect.Good, "no such finding"},
	} {
		got, detail, err := j.findings(run)
		require.NoError(t, err)
		assert.Equal(t, want.judgement, got)
		assert.Equal(t, want.detail, detail)
		v.Headline = record.Healthy
	}
}
