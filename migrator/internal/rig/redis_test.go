package rig

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
)

// TestAMissingServerIsNil, so that no one can stop what never ran.
func TestAMissingServerIsNil(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	s, err := Redis(t.Context(), t.TempDir())
	require.ErrorIs(t, err, needs.ErrMissing)
	assert.ErrorContains(t, err, "redis-server")
	assert.Nil(t, s)
}
