//go:build !linux

package heldout

import "github.com/memsoak/memsoak/soak/specimens/specimen"

func mapped() []specimen.Specimen { return nil }
