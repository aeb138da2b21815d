package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fitted are the settings that a command line leads to. The collector is left as it was.
func fitted(t *testing.T, args ...string) (*settings, error) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) })
	debug.SetMemoryLimit(math.MaxInt64)
	s := newSettings()
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.addSides(f)
	s.addWork(f)
	require.NoError(t, f.Parse(args))
	return s, s.fit(f)
}

func TestABudgetChoosesTheSettings(t *testing.T) {
	before := 0
	for _, memory := range []string{"17MiB", "24MiB", "32MiB", "64MiB", "1GiB"} {
		s, err := fitted(t, "--memory", memory)
		require.NoError(t, err, memory)
		assert.LessOrEqual(t, s.needs(), s.memory, memory)
		assert.GreaterOrEqual(t, s.copy.Workers, before, "more memory is never fewer workers: %s", memory)
		assert.LessOrEqual(t, s.copy.Workers, mostWorkers)
		assert.GreaterOrEqual(t, s.wire.MaxIdleConnsPerHost, s.copy.Workers, "each has a connection to keep")
		assert.Less(t, debug.SetMemoryLimit(-1), s.memory, "the collector keeps below it")
		before = s.copy.Workers
	}
	assert.Equal(t, mostWorkers, before)
	s, err := fitted(t)
	require.NoError(t, err)
	want := newSettings()
	assert.Equal(t, want.copy.Workers, s.copy.Workers, "without a budget all is as it was")
	assert.Equal(t, want.wire, s.wire)
}

func TestABudgetLeavesWhatWasGiven(t *testing.T) {
	s, err := fitted(t, "--memory", "64MiB", "--workers", "3", "--read-buffer", "4KiB")
	require.NoError(t, err)
	assert.Equal(t, 3, s.copy.Workers)
	assert.Equal(t, 4<<10, s.wire.ReadBuffer)
	assert.LessOrEqual(t, s.needs(), s.memory)
}

func TestTooSmallABudgetNamesTheSmallest(t *testing.T) {
	_, err := fitted(t, "--memory", "10MiB")
	require.EqualError(t, err, "--memory: want at least 17MiB for these settings, have 10MiB")
	_, err = fitted(t, "--memory", "64MiB", "--workers", "500")
	require.ErrorContains(t, err, "--memory: want at least ")
	_, err = fitted(t, "--memory", "20MiB", "--read-buffer", "1MiB")
	require.Error(t, err)
	_, err = fitted(t, "--memory", "20MiB", "--workers", "100")
	require.Error(t, err)
	need := err.Error()[len("--memory: want at least "):]
	need = need[:len(need)-len(" for these settings, have 20MiB")]
	_, err = fitted(t, "--memory", need, "--workers", "100")
	require.NoError(t, err, "what is named works")
}
