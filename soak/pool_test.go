package soak_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

const poolProtocol = `
name: pool
trials: [attribution]
memprofilerate: 65536
budget: 60s
settle: 50ms
phases:
  - {name: wave, kind: wave, times: 2, files: [{count: 96, size: 256KiB}]}
`

// The pool axis has to reach the subject's HTTP client: with a pool of one the migrator closes what it opened for
// sixteen workers, with a pool of sixteen it keeps the connections until the floor closes them.
func TestThePoolAxisChangesTheIdleConnectionsHeld(t *testing.T) {
	idle := idleConnections(t, axis("pool", "1", "16"), soak.Cell{"workers": "16"})
	assert.LessOrEqual(t, idle["1"], int64(6), "a few hosts, one idle connection each")
	assert.GreaterOrEqual(t, idle["16"], int64(12))
}

// Over HTTP/2 sixteen workers share a connection to Drive. The sink speaks HTTP/1.1 alone, as S3 does.
func TestTheTransportAxisChoosesTheProtocol(t *testing.T) {
	idle := idleConnections(t, axis("transport", "tls", "h2"), soak.Cell{"workers": "16", "pool": "16"})
	t.Logf("connections: %v", idle)
	assert.LessOrEqual(t, idle["h2"], int64(16+4))
	assert.Greater(t, idle["tls"], idle["h2"]+4)
}

// idleConnections runs the migrator once for each value of an axis and returns how many connections it kept, at most,
// after a wave.
func idleConnections(t *testing.T, a soak.Axis, set soak.Cell) map[string]int64 {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the migrator")
	}
	dir := files(t, "ok")
	migrator := filepath.Join(dir, "migrator")
	out, err := exec.Command("go", "build", "-o", migrator,
		"github.com/memsoak/memsoak/migrator/cmd/migrator").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pool.yaml"), []byte(poolProtocol), 0o644))

	subject, err := soak.LoadSubject("migrator")
	require.NoError(t, err)
	subject.Command[0] = migrator
	c := tinyConfig(dir)
	c.Protocol = filepath.Join(dir, "pool.yaml")
	c.Axes, c.Set = soak.Axes{a}, set
	plan, err := soak.NewPlanFor(subject, c, soak.Shard{})
	require.NoError(t, err)
	run := filepath.Join(dir, "run")
	r := &soak.Runner{Plan: plan, Dir: run, Fakedrive: fakedrivePath, Soak: soakPath}
	_, err = r.Run(t.Context())
	require.NoError(t, err)

	most := map[string]int64{}
	for _, value := range a.Values {
		trial, err := record.ReadTrial(filepath.Join(run, "cells", soak.Cell{a.Name: value}.Dir(), "trial-1"))
		require.NoError(t, err)
		require.Equal(t, record.OK, trial.Outcome, trial.Reason)
		for _, s := range trial.Snapshots {
			if s.State == record.StateFloor && s.Covariates != nil {
				most[value] = max(most[value], s.Covariates.ConnsBeforeClose)
			}
		}
	}
	return most
}
