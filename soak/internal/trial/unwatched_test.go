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

const twoPhases = `
name: two
trials: [speed]
speed:
  - {name: unseen, kind: idle, for: 200ms}
  - {name: seen, kind: idle, for: 20ms}
`

func TestAnUnwatchedPhaseIsNotSampled(t *testing.T) {
	o := options(t, testsubject.OK)
	p, err := protocol.Parse([]byte(twoPhases))
	require.NoError(t, err)
	o.Kind, o.Protocol, o.Every = record.Speed, p, 10*time.Millisecond
	o.Unwatched = func(phase string) bool { return phase == "unseen" }
	samples := make(chan string, 1000) // names of phases; more than there can be are dropped
	o.OnSample = func(s record.Sample) {
		select {
		case samples <- s.PhaseName:
		default:
		}
	}
	sampled := map[string]bool{}
	o.OnPhase = func(p record.Phase) {
		if p.Name != "seen" || !p.End.IsZero() {
			return
		}
		for timeout := time.After(time.Minute); !sampled["seen"]; {
			select {
			case name := <-samples:
				sampled[name] = true
			case <-timeout:
				assert.Fail(t, "no sample was taken in a phase that is watched")
				return
			}
		}
	}
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.False(t, sampled["unseen"])
	require.Len(t, tr.Snapshots, 2, "what a phase asks for is taken as ever")
}
