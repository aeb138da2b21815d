package series

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/capture"
)

// ErrNotRoutines is returned, wrapped, for a profile that does not count goroutines.
var ErrNotRoutines = errors.New("not a goroutine profile")

// RoutineGroup is all goroutines that wait in the same place: the same blamed frame, started by the same function.
type RoutineGroup struct {
	blame.Site
	// Root is the function that the goroutine runs: the outermost frame.
	Root string
	// Depth is the number of frames of the deepest stack seen.
	Depth int
}

// Connection reports whether the group is a pair of net/http's goroutines that serve one client connection.
func (g *RoutineGroup) Connection() bool {
	return strings.HasPrefix(g.Root, "net/http.(*persistConn)") || strings.HasPrefix(g.Root,
		"net/http.(*http2ClientConn)") ||
		strings.HasPrefix(g.Root, "net/http/internal/http2.(*ClientConn)") ||
		strings.HasPrefix(g.Root, "golang.org/x/net/http2.(*ClientConn)") || strings.HasPrefix(g.Root,
		"net/http.(*http2clientConn")
}

func (s *Series) openRoutines(n *Snapshot, path string) error {
	c, err := s.open(path)
	if err != nil {
		return err
	}
	if err := s.AddRoutines(n, c); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// AddRoutines counts the goroutines of a snapshot by group. Groups share the interner's site table for locations only.
func (s *Series) AddRoutines(n *Snapshot, c *capture.Capture) error {
	s.gather.add(n, c)
	counts, err := s.countRoutines(c.Profile)
	n.Routines, n.Counted = counts, err == nil
	return err
}

func (s *Series) countRoutines(p *profile.Profile) (map[int]int, error) {
	if len(p.SampleType) != 1 || p.SampleType[0].Type != "goroutine" && p.SampleType[0].Type != "goroutines" {
		return nil, ErrNotRoutines
	}
	out := make(map[int]int)
	for _, sm := range p.Sample {
		if len(sm.Value) != 1 {
			return nil, fmt.Errorf("%w: a sample without its value", ErrNotRoutines)
		}
		var stack []blame.Frame
		for _, l := range sm.Location {
			stack = append(stack, s.intern.frames[s.intern.loc(l)]...)
		}
		if g := s.routineGroup(stack); g >= 0 {
			out[g] += int(sm.Value[0])
		}
	}
	return out, nil
}

// routineGroup finds or makes the group of a stack. Goroutines that serve the profile itself are left out.
func (s *Series) routineGroup(stack []blame.Frame) int {
	site, ok := s.intern.blamer.Blame(stack)
	if !ok {
		return -1
	}
	root := blame.CleanName(stack[len(stack)-1].Function)
	for i, g := range s.Routines {
		if g.Site.Site == site.Site && g.Root == root {
			if len(stack) > g.Depth {
				g.Depth, g.Stack = len(stack), stack
			}
			return i
		}
	}
	s.Routines = append(s.Routines, &RoutineGroup{Site: site, Root: root, Depth: len(stack)})
	return len(s.Routines) - 1
}
