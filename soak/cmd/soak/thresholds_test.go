package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
)

// A threshold of soak.yaml decides the exit code of the run itself, with abort_on_fail after the first cell, and that
// of the same run under git bisect run.
func TestThresholdsDecideTheExitCodeOfARun(t *testing.T) {
	if testing.Short() {
		t.Skip("records trials")
	}
	programs(t)
	s, revs, _ := newScratch(t)
	t.Chdir(s.dir)
	s.build(revs[0])
	config := "subject: subject.yaml\nprotocol: tiny.yaml\ncorpus: tiny\nlimit: 512MiB\naxes: {workers: [1, 2]}\n" +
		"design: full\nthresholds:\n  - {expr: peak_rss %s, abort_on_fail: true}\n"
	for limit, want := range map[string]struct {
		code, bisect, trials int
	}{
		"< 1KiB": {99, 1, 1},
		"< 1GiB": {0, 0, 2},
	} {
		out := "runs/" + limit[2:]
		s.write("soak.yaml", []byte(fmt.Sprintf(config, limit)))
		code, stdout, stderr := soakCmd("run", "-f", "soak.yaml", "--out", out, "--json")
		assert.Equal(t, want.code, code, "%s\n%s", stdout, stderr)
		run, err := record.ReadRun(out)
		require.NoError(t, err)
		ended := 0
		for _, c := range run.Status {
			for _, tr := range c.Trials {
				if tr.Outcome != "" {
					ended++
				}
			}
		}
		assert.Equal(t, want.trials, ended)
		assert.Equal(t, want.code == 99, run.Interrupted)
		code, stdout, stderr = soakCmd("gate", out, "--bisect-run")
		assert.Equal(t, want.bisect, code, "%s\n%s", stdout, stderr)
	}
}
