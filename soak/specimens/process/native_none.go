//go:build !cgo || !linux

package process

import "github.com/memsoak/memsoak/soak/specimens/specimen"

func native() []specimen.Specimen { return nil }
