//go:build !linux

package heldout

import "memsoak/soak/specimens/specimen"

func mapped() []specimen.Specimen { return nil }
