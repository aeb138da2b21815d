//go:build !linux

package process

import "github.com/memsoak/memsoak/soak/specimens/specimen"

func mapped() []specimen.Specimen { return nil }
