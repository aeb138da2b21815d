package soak

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

func TestRunFileHasNoValuesOfVariables(t *testing.T) {
	p := &Plan{Config: DefaultConfig(), Protocol: &protocol.Protocol{Name: "p"}, Subject: &subject.Spec{Name: "s",
		Env: map[string]string{"TOKEN": "hunter2"}}}
	m, err := configMap(p)
	require.NoError(t, err)
	b, err := json.Marshal(m)
	require.NoError(t, err)
	assert.NotContains(t, string(b), "hunter2")
	assert.Contains(t, string(b), "TOKEN")
}

func TestRecordedRunIsMadeAgainWithValuesOfItsSubjectFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.yaml")
	text := "name: s\ncommand: ['true']\npprof: http://{{.addr}}/debug/pprof\nwave: {url: 'http://{{.addr}}/w'}\nenv: " +
		"{TOKEN: hunter2}\nsettings: {workers: '2'}\n"
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	c := DefaultConfig()
	c.Subject = file
	p, err := NewPlan(c, Shard{})
	require.NoError(t, err)
	config, err := configMap(p)
	require.NoError(t, err)
	run := &record.Run{ID: "r", Subject: "s", Corpus: "tiny", Design: "star", Protocol: "default", Repeats: 1,
		Config: config}
	again, err := PlanAgain(run, nil)
	require.NoError(t, err)
	assert.Equal(t, "hunter2", again.Subject.Env["TOKEN"])
	require.NoError(t, os.Remove(file))
	_, err = PlanAgain(run, nil)
	require.ErrorIs(t, err, ErrConfig)
	assert.ErrorContains(t, err, "not recorded")
}
