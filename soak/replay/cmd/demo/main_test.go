package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/replay/study"
)

// TestTheDemoNamesTheCulprit in ten lines, and says of a size that was never reached that it would have been.
func TestTheDemoNamesTheCulprit(t *testing.T) {
	res := &study.Result{Cells: []*study.Cell{
		{Of: 5000, Listed: 5000, Files: 4, Outcome: study.Killed, Headline: record.HeadMetadata, Peak: 128 << 20,
			Limit: 128 << 20,
			Culprit: &study.Share{Class: record.Metadata, Bytes: 479 << 20, Slope: &record.Slope{Bytes: 2048,
				Per: "backlog-item"},
				Site: record.Site{Function: "x/service.(*run).worker", File: "x/service.go", Line: 131}}},
		{Of: 5000, Files: 9, Outcome: study.Survived, Headline: record.Healthy, Peak: 14 << 20, Limit: 128 << 20},
	}}
	var out strings.Builder
	show(&out, res, 29*time.Second)
	assert.LessOrEqual(t, strings.Count(out.String(), "\n"), 10)
	assert.Contains(t, out.String(),
		"service.(*run).worker service.go:131 (metadata, 2.0 KiB per backlog item: it would have taken 479 MiB)")
	assert.Contains(t, out.String(), "the migrator: healthy\n")
	res.Cells[0].Culprit.Bytes = 10 << 20
	out.Reset()
	show(&out, res, 0)
	assert.Contains(t, out.String(), "per backlog item: 10 MiB)")
	res.Cells[0].Culprit.Bytes = 1 << 20
	out.Reset()
	show(&out, res, 0)
	assert.NotContains(t, out.String(), "held the most", "of 128 MiB it explains nothing")
}

func TestTheDemosRowsExist(t *testing.T) {
	names := map[string]bool{}
	for _, r := range study.Rows(scale) {
		names[r.Name] = true
	}
	for _, r := range rows {
		assert.True(t, names[r], r)
	}
	var errs strings.Builder
	assert.Equal(t, 2, run([]string{"more"}, &errs, &errs))
}
