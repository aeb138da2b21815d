package trial

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A process that takes all it gets has used its share over ten seconds, and one that sleeps saves up nothing.
func TestBudgetGivesTheShareAndNoSavings(t *testing.T) {
	now := time.Unix(0, 0)
	b := budget{share: 0.1, at: now}
	used, stopped := 0.0, false
	for range 2000 {
		now = now.Add(throttleStep)
		if !stopped {
			used += throttleStep.Seconds()
		}
		stopped = b.spent(used, now)
	}
	assert.InDelta(t, 1.0, used, 0.05)

	now = now.Add(time.Minute)
	b.spent(used, now)
	before := used
	for range 200 {
		now = now.Add(throttleStep)
		used += throttleStep.Seconds()
		if b.spent(used, now) {
			break
		}
	}
	assert.LessOrEqual(t, used-before, 0.03, "a minute of sleep is no minute of work")
}
