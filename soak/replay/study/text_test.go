package study

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestATerminalGetsTheConclusionFirstAndNoLineTooLong(t *testing.T) {
	share := &Share{Class: record.BufferWorker, Slope: &record.Slope{Bytes: 2 << 20, Per: "worker"},
		Site: record.Site{Function: "github.com/memsoak/memsoak/soak/replay/service.(*run).parts", File: "copy.go", Line: 58}}
	cell := func(row, outcome string, h record.Headline, culprit *Share) *Cell {
		return &Cell{Row: row, Corpus: Decisive, Outcome: outcome, Headline: h, Holds: Discovery, Part: 1, Culprit: culprit,
			Shares: []Share{*share}, Of: 250_000, Listed: 1, Peak: 120 << 20, Limit: 128 << 20, After: time.Second}
	}
	r := &Result{Scale: 16, Cells: []*Cell{
		cell("external queue: Redis in the same pod, with a name that is long", Killed, record.HeadMetadata, share),
		cell(last, Inconclusive, record.HeadBuffer, share),
	}, Expected: []Expectation{{Row: last, Happened: strings.Repeat("what happened ", 20)}},
		Skipped: []string{strings.Repeat("a reason ", 30)}}
	var b strings.Builder
	require.NoError(t, r.WriteText(&b))
	text := b.String()
	assert.True(t, strings.HasPrefix(text, "1 of 2 cells were killed, and what holds is "+string(Discovery)+
		" in 1; 0 survived."))
	assert.Contains(t, text, "1 inconclusive:")
	assert.Contains(t, text, "In 1 cell, marked *, the headline is not of what held the most")
	assert.Contains(t, text, "metadata *")
	assert.NotContains(t, text, "buffering *")
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), textWidth, line)
	}
}
