//go:build !cgo || !linux

package process

import "memsoak/soak/specimens/specimen"

func native() []specimen.Specimen { return nil }
