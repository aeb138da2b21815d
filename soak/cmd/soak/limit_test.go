package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

func TestSurvivalWithWorkLeftIsNone(t *testing.T) {
	wave := func(files, copied int64) *record.Trial {
		return &record.Trial{Outcome: record.OK, Work: record.Work{Files: copied},
			Phases: []record.Phase{{Kind: "wave", Counted: true, Files: files, Copied: copied}}}
	}
	killed := wave(480, 20)
	killed.Outcome = record.OOMKilled
	for name, c := range map[string]struct {
		trial *record.Trial
		says  string
	}{
		"all":    {trial: wave(480, 480)},
		"killed": {trial: killed},
		"none":   {wave(480, 0), "finished no file"},
		"part":   {wave(480, 20), "20 of 480 files"},
	} {
		if err := worked(c.trial); c.says == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, c.says, name)
		}
	}
	assert.EqualValues(t, 480, busy(wave(480, 20)), "no more workers can have a file")
}

func TestGOMEMLIMITMayFollowTheLimit(t *testing.T) {
	cfg := soak.DefaultConfig()
	cfg.Set = soak.Cell{"gomemlimit": "90%"}
	for n, want := range map[int64]string{100 << 20: "94371840B", 10 << 20: "9437184B"} {
		got := (&limitFlags{}).at(cfg, n)
		assert.Equal(t, want, got.Set["gomemlimit"])
		assert.EqualValues(t, n, got.Limit)
	}
	assert.Equal(t, "90%", cfg.Set["gomemlimit"], "the caller's settings stay")
	cfg.Set = soak.Cell{"gomemlimit": "off"}
	assert.Equal(t, "off", (&limitFlags{workers: true}).at(cfg, 7).Set["gomemlimit"])
	assert.Equal(t, "7", (&limitFlags{workers: true}).at(cfg, 7).Set["workers"])
	for _, text := range []string{"", "off", "1GiB", "0%", "101%", "x%"} {
		_, ok := shareOfLimit(soak.Cell{"gomemlimit": text})
		assert.False(t, ok, text)
	}
}
