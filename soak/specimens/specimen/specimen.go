// Package specimen is what a fault registers itself as: a name and the hooks that put it into a copier.
package specimen

import (
	"context"
	"fmt"
	"strings"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// Specimen is one seeded fault, or its healthy look-alike.
//
// A constructor of hooks whose closure is the culprit is marked go:noinline: a closure of an inlined function is named
// after the caller, and the truth names it after the constructor.
type Specimen struct {
	// Name is how the truth, the command line and the results call it.
	Name string
	// Hooks puts the specimen into a copier's engine. It is called once per engine, before the engine runs.
	Hooks func(*copier.Engine) copier.Hooks
	// Engine makes an engine of the specimen's own, in place of a copier with Hooks.
	Engine func(copier.Config) (Engine, error)
}

// Engine does the waves of a subject.
type Engine interface {
	// Run copies the tree below root into prefix and returns when all of it is done.
	Run(ctx context.Context, root, prefix string) (copier.Stats, error)
	Close()
}

// Set is specimens by name.
type Set map[string]Specimen

// Add adds specimens. A name that is taken, or not fit for a file name and a metric label, is a programming error.
func (s Set) Add(all ...Specimen) {
	for _, sp := range all {
		if strings.Trim(sp.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || sp.Name == "" {
			panic(fmt.Sprintf("specimen name %q", sp.Name))
		}
		if _, taken := s[sp.Name]; taken {
			panic(fmt.Sprintf("specimen %q twice", sp.Name))
		}
		s[sp.Name] = sp
	}
}

// New returns an engine with the named specimen; "a+b" is both together, which only specimens with hooks can be.
func (s Set) New(name string, cfg copier.Config) (Engine, error) {
	if sp := s[name]; sp.Engine != nil {
		return sp.Engine(cfg)
	}
	hooks, err := s.hooks(name)
	if err != nil {
		return nil, err
	}
	return copier.New(cfg, hooks)
}

func (s Set) hooks(name string) (func(*copier.Engine) copier.Hooks, error) {
	var parts []Specimen
	for part := range strings.SplitSeq(name, "+") {
		sp, ok := s[part]
		if !ok {
			return nil, fmt.Errorf("no specimen %q; 'specimens list' names them", part)
		}
		if sp.Hooks == nil {
			return nil, fmt.Errorf("specimen %q has an engine of its own and can't be combined", part)
		}
		parts = append(parts, sp)
	}
	return func(e *copier.Engine) copier.Hooks {
		var h copier.Hooks
		for _, p := range parts {
			h = copier.Merge(h, p.Hooks(e))
		}
		return h
	}, nil
}
