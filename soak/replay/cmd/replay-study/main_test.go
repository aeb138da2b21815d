package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/exitcode"
)

func TestWrongUsageIsOneLineAndCode2(t *testing.T) {
	for want, args := range map[string][]string{
		"unknown flag":    {"--nonsense"},
		"unknown command": {"nonsense"},
		"--scale 0":       {"--scale", "0"},
		"no part":         {"--parts", "nope"},
		"no row fits":     {"--rows", "nope", "--out", t.TempDir()},
		"--resume":        {"--resume"},
	} {
		var out, errs strings.Builder
		assert.Equal(t, exitcode.UsageError, run(args, &out, &errs), args)
		assert.Contains(t, errs.String(), want)
		assert.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())
	}
}

func TestHelpShowsAnExample(t *testing.T) {
	var out, errs strings.Builder
	assert.Equal(t, exitcode.OK, run([]string{"--help"}, &out, &errs), errs.String())
	assert.Contains(t, out.String(), "replay-study --quick")
}
