//go:build !linux

package heldout2

import "github.com/memsoak/memsoak/soak/specimens/specimen"

func ofPlatform() []specimen.Specimen { return nil }
