package soak

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

func TestRunFileHasNoValuesOfVariables(t *testing.T) {
	p := &Plan{Config: DefaultConfig(), Protocol: &protocol.Protocol{Name: "p"}, Subject: &subject.Spec{Name: "s", Env: map[string]string{"TOKEN": "hunter2"}}}
	m, err := configMap(p)
	require.NoError(t, err)
	b, err := json.Marshal(m)
	require.NoError(t, err)
	assert.NotContains(t, string(b), "hunter2")
	assert.Contains(t, string(b), "TOKEN")
}
