//go:build !linux

package process

import "memsoak/soak/specimens/specimen"

func mapped() []specimen.Specimen { return nil }
