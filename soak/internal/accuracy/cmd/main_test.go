package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/accuracy"
)

// TestCommittedConditionsStayInTheReportOfAllOfThem holds the copiers' rows out of reports of services, and of others
// than all conditions.
func TestCommittedConditionsStayInTheReportOfAllOfThem(t *testing.T) {
	for name, c := range map[string]struct {
		f     flags
		empty bool
	}{
		"all of the copiers": {flags{conditions: "all", specimens: accuracy.Specimens}, false},
		"quiet alone":        {flags{conditions: accuracy.Quiet, specimens: accuracy.Specimens}, true},
		"services":           {flags{conditions: "all", specimens: "soak/specimens/web"}, true},
	} {
		c.f.root = "../../../.."
		before, err := c.f.before()
		require.NoError(t, err)
		assert.Equal(t, c.empty, len(before) == 0, name)
	}
}
