package classes

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/record"
)

// TestAStepIsNotFittedAsMoreThanItRose has the states of a healthy trial of 47 s, in which the kernel made a huge page
// within a phase of 8 s: by the second that was 4.2 MiB, of 2.2 that the memory rose.
func TestAStepIsNotFittedAsMoreThanItRose(t *testing.T) {
	text, err := os.ReadFile("testdata/huge-page.json")
	require.NoError(t, err)
	judged := func(eachSecond int64) int {
		var trial record.Trial
		require.NoError(t, json.Unmarshal(text, &trial))
		s := series.New(&trial, "app")
		for _, r := range trial.Snapshots {
			r.Process.OtherAnon += int64(r.Time.Sub(trial.Started).Seconds()) * eachSecond
			s.Snaps = append(s.Snaps, &series.Snapshot{Snapshot: r})
		}
		return len(judgeOutside(s, fit.UnitsOf(s)))
	}
	require.Zero(t, judged(0))
	require.Positive(t, judged(100<<10), "100 KiB a second beside the page")
}
