package protocol

import (
	"errors"
	"fmt"
	"slices"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
)

// Each stands for every upstream in a phase's Gate.
const Each = "each"

// The kinds of phases for a service that calls no upstream, and so can't be held at one.
const (
	Running  = record.PointRunning  // so many requests in flight, which nothing holds, and a snapshot of them
	Answered = record.PointAnswered // a wave as fast as it is taken, and a snapshot right after its last reply
)

// Service is what a protocol has to know of a service to be carried out.
type Service struct {
	// Upstreams are the names of the gates before what the service calls; Raw those of them of raw TCP.
	Upstreams, Raw []string
	// Sized says that the work has a size.
	Sized bool
}

// For is the protocol for a service: phases at each upstream are written out, those that ask for a size are left out
// where there is none.
func (p *Protocol) For(s Service) (*Protocol, error) {
	out := *p
	var err error
	if out.Phases, err = s.expand(p.Phases); err != nil {
		return nil, err
	}
	if out.Speed, err = s.expand(p.Speed); err != nil {
		return nil, err
	}
	out.More = nil
	for _, b := range p.More {
		if b.Phases, err = s.expand(b.Phases); err != nil {
			return nil, err
		}
		if len(b.Phases) > 0 {
			out.More = append(out.More, b)
		}
	}
	return &out, nil
}

func (s *Service) expand(list []Phase) ([]Phase, error) {
	var out []Phase
	for _, ph := range list {
		if ph.Sized && !s.Sized {
			continue
		}
		gates := []string{ph.Gate}
		switch {
		case ph.Gate == Each:
			gates = s.Upstreams
		case ph.Gate == "" && (ph.Kind == Hold || ph.Kind == Sizes):
			return nil, fmt.Errorf("%w: phase %q: a hold of a service names its gate: front, an upstream, or each", ErrInvalid,
				ph.Name)
		}
		for _, g := range gates {
			if slices.Contains(s.Raw, g) != (ph.Point == fault.GateBytes) && ph.Gate == Each {
				continue
			}
			one := ph
			one.Files = slices.Clone(ph.Files)
			if one.Gate = g; ph.Gate == Each && len(s.Upstreams) > 1 {
				one.Name = ph.Name + "-" + g
			}
			if one.AtEnd {
				one.Offset = -1
			}
			s.unsize(&one)
			out = append(out, one)
		}
	}
	return out, nil
}

// unsize takes sizes away where the work has none: they would be of nothing.
func (s *Service) unsize(ph *Phase) {
	if s.Sized {
		return
	}
	ph.Size, ph.MaxBytes = 0, units.Bytes(0)
	for i := range ph.Files {
		ph.Files[i].Size = 0
	}
}

// checkGate checks a hold at a gate.
func (ph *Phase) checkGate() error {
	inBody := ph.Point == fault.GateRequestBody || ph.Point == fault.GateReplyBody
	switch {
	case ph.Gate == "":
		return fmt.Errorf("the point %q needs `gate`: front, the name of an upstream, or each", ph.Point)
	case !inBody && ph.Offset != 0:
		return errors.New("`offset` is for points in a body")
	case len(ph.Files) > 0:
		return errors.New("a hold at a gate has no `files`")
	}
	return nil
}
