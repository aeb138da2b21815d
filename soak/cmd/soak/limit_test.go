package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
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

func TestFlagsOfTheOtherSearchAreRefused(t *testing.T) {
	for args, says := range map[string]string{
		"--limit 1GiB":                        "--limit is for the search of workers",
		"--max-workers 9":                     "--max-workers is for the search of workers",
		"--workers --max 1GiB":                "--max is for the search of a limit",
		"--workers --step 1MiB":               "--step is for the search of a limit",
		"--workers --set workers=4":           "leave --set workers out",
		"--set workers=4 --tries 0":           "--tries: want 1 to 100",
		"--set workers=4 --max 0":             "",
		"--set workers=4 --step 0":            "",
		"--set workers=0":                     "workers=0",
		"--set gomemlimit=150%":               "gomemlimit=150%",
		"--workers --max-workers -1":          "",
		"--set workers=4 --max 1MiB":          "search from 4194304 to 1048576",
		"--set workers=4 --subject none-such": "no subject",
	} {
		code, _, stderr := soakCommand(append([]string{"limit"}, strings.Fields(args)...)...)
		assert.Equal(t, exitcode.UsageError, code, "%s: %s", args, stderr)
		assert.Contains(t, stderr, says, args)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
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

func TestAWholeFileIsOneThatAsManyOfTheCorpusHave(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "corpus.yaml")
	require.NoError(t, os.WriteFile(file, []byte("files: 6\nsize:\n  classes:\n    - {share: 1, fixed: 1MiB}\n"+
		"    - {share: 1, fixed: 4KiB}\n"), 0o644))
	var f fullest
	for workers, want := range map[int]int64{1: 1 << 20, 3: 1 << 20, 4: 4 << 10, 6: 4 << 10, 7: 0} {
		got, err := f.size(file, workers)
		require.NoError(t, err)
		require.Equal(t, want, got, "%d workers", workers)
	}
}
