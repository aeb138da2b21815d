package finding

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

func TestOneTransferIsNoPlural(t *testing.T) {
	held := series.Series{Snaps: []*series.Snapshot{{Snapshot: record.Snapshot{State: record.StateHeader,
		Sample: record.Sample{Covariates: &record.Covariates{InFlight: 1, Backlog: 9}}}}}}
	assert.Equal(t, "snapshot 0: 1 transfer held at the download's header, 9 files waiting", Describe(&held, 0))
}

// TestEveryClassHasASentence tells a sentence by its full stop: a class without one gets the name of the place alone.
func TestEveryClassHasASentence(t *testing.T) {
	for _, c := range record.Classes() {
		j := &Judged{Finding: record.Finding{Class: c, Slope: &record.Slope{Bytes: 96, Per: "file"}}}
		assert.Regexp(t, `^\S.* .*\.$`, Summarize(j), "class %s", c)
	}
}
