package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

func TestWaterfallOfATrialNamesItsSites(t *testing.T) {
	v := diagnoseLab(t, newLab(t, leaky(), 6, 3).run(9))
	require.NotEmpty(t, v.Waterfall)
	assert.Equal(t, record.PartLive, v.Waterfall[0].Part)
	assert.Contains(t, v.Waterfall[0].Detail, "copy.readAll")
}

func TestNoReadingsNoWaterfall(t *testing.T) {
	l := newLab(t, leaky(), 6, 3).run(2)
	for i := range l.trial.Snapshots {
		l.trial.Snapshots[i].Process = nil
	}
	assert.Empty(t, diagnoseLab(t, l).Waterfall)
}
