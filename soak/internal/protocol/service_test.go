package protocol_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/protocol"
)

func names(list []protocol.Phase) string {
	var out []string
	for _, ph := range list {
		out = append(out, ph.Name)
	}
	return strings.Join(out, " ")
}

func TestAServiceGetsItsHoldsAtEachUpstream(t *testing.T) {
	p, err := protocol.Load("service")
	require.NoError(t, err)
	two, err := p.For(protocol.Service{Upstreams: []string{"api", "redis"}, Raw: []string{"redis"}})
	require.NoError(t, err)
	require.NoError(t, two.Check())
	all := names(two.Phases)
	assert.Contains(t, all, "held-api")
	assert.Contains(t, all, "stopped-redis")
	assert.NotContains(t, all, "held-redis", "raw TCP has no replies to hold")
	assert.NotContains(t, all, "stopped-api")
	assert.NotContains(t, all, "unread", "the work has no size")
	for _, ph := range two.Phases {
		assert.Zero(t, ph.Size, ph.Name)
	}

	one, err := p.For(protocol.Service{Upstreams: []string{"api"}, Sized: true})
	require.NoError(t, err)
	assert.Contains(t, names(one.Phases), "held-4MiB")
	assert.Contains(t, names(one.Phases), "unread-32MiB")

	none, err := p.For(protocol.Service{})
	require.NoError(t, err)
	assert.NotContains(t, names(none.Phases), "queue")
}

func TestAHoldAtAGateNamesIt(t *testing.T) {
	_, err := protocol.Parse([]byte(head + "  - {kind: hold, point: reply}\n"))
	require.ErrorIs(t, err, protocol.ErrInvalid)
	assert.ErrorContains(t, err, "needs `gate`")
	p, err := protocol.Load("default")
	require.NoError(t, err)
	_, err = p.For(protocol.Service{})
	assert.ErrorContains(t, err, "a hold of a service names its gate")
}
