package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestOneTrialIsNoPlural(t *testing.T) {
	assert.Equal(t, "1 of 3 trials is", trialsAre(1, 3))
	assert.Equal(t, "2 of 3 trials are", trialsAre(2, 3))
}

// A trial that the collector's limit broke is about that, though a buffer is larger; a run is about what most of its
// trials are about, though another has the highest peak.
func TestARunsFirstLineIsOfATrialsHeadline(t *testing.T) {
	thrash := record.Finding{Class: record.GCThrash, Summary: "thrash", AtPlan: 1 << 20}
	buffer := record.Finding{Class: record.BufferWorker, Summary: "buffer", AtPlan: 1 << 30}
	queue := record.Finding{Class: record.Metadata, Summary: "queue", AtPlan: 1 << 40}
	trial := func(peak int64, h record.Headline, found ...record.Finding) record.Verdict {
		return record.Verdict{Headline: h, Peak: record.Peak{RSS: peak}, Findings: found}
	}
	one := trial(9, record.HeadHeadroom, buffer, thrash)
	assert.Equal(t, record.GCThrash, Leading(&one).Class)
	assert.Nil(t, Leading(&record.Verdict{Headline: record.Healthy, Findings: one.Findings}))
	rv := &record.RunVerdict{Cells: []record.Verdict{trial(9, record.HeadMetadata, queue), trial(5, record.HeadBuffer,
		buffer), trial(7, record.HeadBuffer, buffer)}}
	v, f := Lead(rv)
	assert.Same(t, &rv.Cells[2], v)
	assert.Same(t, &v.Findings[0], f)
	assert.Equal(t, "buffer (buffer-worker in 2 of 3 trials)", answer(rv)[0])
	rv.Cells = []record.Verdict{one}
	assert.Equal(t, []string{"thrash (gc-thrash)"}, answer(rv))
}
