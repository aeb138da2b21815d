package capacity

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestATrialIsNamedByItsCell(t *testing.T) {
	killed := standing{killed: 128 << 20}
	one := trialSize{standing: killed, outcome: record.OOMKilled}
	assert.Equal(t, "the trial was killed at its limit of 128.0 MiB", one.name()+" "+one.why())
	one.cell = record.Cell{"workers": "4"}
	assert.Equal(t, "trial workers=4", one.name())
}
