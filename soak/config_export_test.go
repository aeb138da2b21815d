package soak_test

import (
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
)

func appendThreshold(c *soak.Config, expr string) error {
	c.Thresholds = append(c.Thresholds, gate.Threshold{Expr: expr})
	return nil
}
