package main

import (
	"testing"

	"github.com/memsoak/memsoak/internal/setting/settingtest"
)

func TestEveryNumberHasARange(t *testing.T) { settingtest.EveryNumberHasARange(t, newRoot()) }
