//go:build long

package content

import (
	"flag"
	"testing"
)

var allSteps = flag.Bool("table", false, "check every step of the table: an hour of hashing")

func TestEveryStepOfTheTable(t *testing.T) {
	for v := range uint32(LargeVariants) {
		all := Checkpoints(v)
		for i, c := range all {
			if c.Offset < FineSize || *allSteps || i%101 == 0 || i == len(all)-1 {
				checkStep(t, all, i)
			}
		}
	}
}
