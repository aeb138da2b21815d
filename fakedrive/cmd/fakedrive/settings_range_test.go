package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/setting"
)

// TestEveryNumberHasARange walks all commands: a flag with a number, a time or a size has a row in the registry, and a
// default that the row would accept.
func TestEveryNumberHasARange(t *testing.T) {
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !setting.Numeric(f) {
				return
			}
			seen++
			row, ok := setting.Find(f.Name)
			if !assert.True(t, ok, "%s --%s has no row in internal/setting", c.CommandPath(), f.Name) {
				return
			}
			if zero := f.DefValue == "0" || f.DefValue == "0s" || f.DefValue == "0B"; !zero {
				assert.NoError(t, row.Check(f.DefValue), "%s", c.CommandPath())
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
	assert.Positive(t, seen)
}
