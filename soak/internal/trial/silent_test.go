package trial_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// TestASilentSubjectEndsTheTrialByName: three readings without an answer, and not thirty phases of them.
func TestASilentSubjectEndsTheTrialByName(t *testing.T) {
	for _, mode := range []string{testsubject.Mute, testsubject.Trickle} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			o := options(t, mode)
			o.Patience = 200 * time.Millisecond
			tr := run(t, o)
			assert.Equal(t, record.Timeout, tr.Outcome)
			assert.Contains(t, tr.Reason, "the subject doesn't answer: 3 readings of ")
			assert.Contains(t, tr.Reason, "in a row had no whole answer within 200ms each")
		})
	}
}

// TestAReadingUnderWayEndsAtTheCap has a reading that may take half a minute, and a cap of a second.
func TestAReadingUnderWayEndsAtTheCap(t *testing.T) {
	t.Parallel()
	o := options(t, testsubject.Mute)
	o.Protocol.Budget = protocol.Duration(time.Second)
	begun := time.Now()
	tr := run(t, o)
	assert.Equal(t, record.Timeout, tr.Outcome)
	assert.Contains(t, tr.Reason, "the trial's cap")
	require.Less(t, time.Since(begun), 20*time.Second, "a reading was waited for")
}
