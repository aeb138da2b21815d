// Package all knows every specimen of this build.
package all

import (
	"memsoak/soak/specimens/buffers"
	"memsoak/soak/specimens/caches"
	"memsoak/soak/specimens/conns"
	"memsoak/soak/specimens/copier"
	"memsoak/soak/specimens/heldout"
	"memsoak/soak/specimens/leaks"
	"memsoak/soak/specimens/metadata"
	"memsoak/soak/specimens/migration"
	"memsoak/soak/specimens/process"
	"memsoak/soak/specimens/routines"
	"memsoak/soak/specimens/specimen"
)

// Plain is the specimen without any fault.
const Plain = "ok-plain"

// Specimens returns every specimen by name. The set is the caller's.
func Specimens() specimen.Set {
	s := specimen.Set{}
	s.Add(specimen.Specimen{Name: Plain, Hooks: func(*copier.Engine) copier.Hooks { return copier.Hooks{} }})
	s.Add(leaks.All()...)
	s.Add(routines.All()...)
	s.Add(conns.All()...)
	s.Add(buffers.All()...)
	s.Add(metadata.All()...)
	s.Add(caches.All()...)
	s.Add(process.All()...)
	s.Add(migration.All()...)
	s.Add(heldout.All()...)
	return s
}
