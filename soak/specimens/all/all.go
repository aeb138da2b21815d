// Package all knows every specimen of this build.
package all

import (
	"github.com/memsoak/memsoak/soak/specimens/buffers"
	"github.com/memsoak/memsoak/soak/specimens/caches"
	"github.com/memsoak/memsoak/soak/specimens/conns"
	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/heldout"
	"github.com/memsoak/memsoak/soak/specimens/heldout2"
	"github.com/memsoak/memsoak/soak/specimens/leaks"
	"github.com/memsoak/memsoak/soak/specimens/metadata"
	"github.com/memsoak/memsoak/soak/specimens/migration"
	"github.com/memsoak/memsoak/soak/specimens/process"
	"github.com/memsoak/memsoak/soak/specimens/routines"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
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
	s.Add(heldout2.All()...)
	return s
}
