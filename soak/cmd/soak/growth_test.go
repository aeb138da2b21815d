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

// TestTooFewProfilesAreNotCalledSteady has two profiles that are alike: nothing was excluded.
func TestTooFewProfilesAreNotCalledSteady(t *testing.T) {
	total := record.Curve{Shape: record.Steady, State: record.Open, Steps: 1}
	var out strings.Builder
	writeGrowth(&out, &record.Growth{Profiles: 2, Total: total})
	assert.NotContains(t, out.String(), "STEADY")
	assert.Contains(t, out.String(), "TOO LITTLE TO SAY")
	total.State = record.Excluded
	out.Reset()
	writeGrowth(&out, &record.Growth{Profiles: 9, Total: total})
	assert.Contains(t, out.String(), "STEADY")
}

// TestGrowthThatNoProfileHasStandsFirst has a heap that stays.
func TestGrowthThatNoProfileHasStandsFirst(t *testing.T) {
	var out strings.Builder
	writeGrowth(&out, &record.Growth{Profiles: 9, Total: record.Curve{Shape: record.Steady, State: record.Excluded},
		Memory: []record.MemoryPart{{Name: record.ResidentPart, Curve: record.Curve{First: 10 << 20, Last: 500 << 20}},
			{Name: record.OutsidePart, Curve: record.Curve{State: record.Found, Shape: record.Growing, Last: 480 << 20}}}})
	assert.Regexp(t, `(?s)^GROWING Outside Go's heap .*STEADY.*resident memory 10 MiB -> 500 MiB`, out.String())
}
