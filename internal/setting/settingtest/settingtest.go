// Package settingtest checks that the flags of a program are in the registry of settings.
package settingtest

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/setting"
)

// EveryNumberHasARange walks all commands of a program: a flag with a number, a time or a size needs a row in the
// registry, and a default that the row accepts.
func EveryNumberHasARange(t *testing.T, root *cobra.Command) {
	t.Helper()
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
	walk(root)
	assert.Positive(t, seen)
}
