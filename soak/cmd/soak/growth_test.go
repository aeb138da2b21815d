package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestDeathStandsBeforeGrowth has a heap that stayed in a trial that memory outside it has killed.
func TestDeathStandsBeforeGrowth(t *testing.T) {
	v := &record.Verdict{Outcome: record.OOMKilled, Headline: record.HeadOffHeap, Confidence: 0.8,
		Findings: []record.Finding{{Class: record.OffHeap, Summary: "77 MiB outside the Go heap"}},
		Growth:   &record.Growth{Profiles: 4, Total: record.Curve{Shape: record.Steady, State: record.Excluded}}}
	var out strings.Builder
	writeFirstScreen(&out, v)
	text := out.String()
	assert.Regexp(t, `(?s)^OOM-KILLED: .*OFF-HEAP .*77 MiB outside.*STEADY`, text)
}
