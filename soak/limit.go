package soak

import (
	"context"
	"fmt"
	"math"
)

// Try says whether a subject survives at the value n.
type Try func(ctx context.Context, n int64) (bool, error)

// Tried is one answer of a search.
type Tried struct {
	Value    int64 `json:"value"`
	Survived bool  `json:"survived"`
}

// Search is a bisection with real kills: it asks Try until the border between what survives and what doesn't is known
// to Step.
type Search struct {
	Try  Try
	Step int64
	// Clear is how far a settled answer has to be from each value that was killed, as a share of it. The peak of a process
	// depends on when its collector runs, so that a limit at which it survives three times is often one at which it dies
	// the fourth. 0: a step.
	Clear float64
	// Least, if not nil, is what no settled answer is below: a peak that was seen is killed by any lower limit.
	Least func() int64
	// Tried are the answers so far, in order.
	Tried []Tried
}

func (s *Search) ask(ctx context.Context, n int64) (bool, error) {
	for _, t := range s.Tried {
		if t.Value == n {
			return t.Survived, nil
		}
	}
	ok, err := s.Try(ctx, n)
	if err == nil {
		s.Tried = append(s.Tried, Tried{n, ok})
	}
	return ok, err
}

// Smallest finds the smallest value, to Step, from lo to hi that survives, for a subject that survives the more the
// larger the value. It returns 0 when not even hi does.
func (s *Search) Smallest(ctx context.Context, lo, hi int64) (int64, error) {
	if err := s.check(lo, hi); err != nil {
		return 0, err
	}
	if ok, err := s.ask(ctx, hi); err != nil || !ok {
		return 0, err
	}
	if ok, err := s.ask(ctx, lo); err != nil || ok {
		return lo, err
	}
	return s.between(ctx, lo, hi)
}

// Largest finds the largest value, to Step, from lo to hi that survives, for a subject that survives the less the
// larger the value. It doubles from lo, so that values far beyond the border are not tried. It returns 0 when not even
// lo survives.
func (s *Search) Largest(ctx context.Context, lo, hi int64) (int64, error) {
	if err := s.check(lo, hi); err != nil {
		return 0, err
	}
	if ok, err := s.ask(ctx, lo); err != nil || !ok {
		return 0, err
	}
	for lo < hi {
		next := min(2*lo, hi)
		ok, err := s.ask(ctx, next)
		if err != nil {
			return 0, err
		}
		if !ok {
			return s.between(ctx, next, lo)
		}
		lo = next
	}
	return lo, nil
}

func (s *Search) check(lo, hi int64) error {
	if s.Step <= 0 || lo < 1 || hi < lo {
		return fmt.Errorf("%w: search from %d to %d by %d", ErrConfig, lo, hi, s.Step)
	}
	return nil
}

// between halves the way from a value that is killed to one that survives, by whole steps, and returns the last that
// survives.
func (s *Search) between(ctx context.Context, killed, survives int64) (int64, error) {
	for abs(survives-killed) > s.Step {
		mid := killed + (survives-killed)/2
		if abs(survives-killed) >= 2*s.Step {
			mid = killed + (survives-killed)/2/s.Step*s.Step
		}
		switch ok, err := s.ask(ctx, mid); {
		case err != nil:
			return 0, err
		case ok:
			survives = mid
		default:
			killed = mid
		}
	}
	return survives, nil
}

// Settle repeats the search's answer until it has survived so many times in all, and moves it by toward (a number of
// steps, to the safe side) where a repetition is killed. It is Clear of all that were killed. It returns 0 when nothing
// up to the bound survives, or is clear.
func (s *Search) Settle(ctx context.Context, answer, toward, bound int64, times int) (int64, error) {
	for answer > 0 && (toward > 0 && answer <= bound || toward < 0 && answer >= bound) {
		answer = toward * min(toward*s.clear(answer, toward), toward*bound)
		survived := 0
		for _, t := range s.Tried {
			if t.Value == answer && t.Survived {
				survived++
			}
		}
		ok := true
		for ok && survived < times {
			var err error
			if ok, err = s.Try(ctx, answer); err != nil {
				return 0, err
			}
			s.Tried = append(s.Tried, Tried{answer, ok})
			survived++
		}
		switch further := s.clear(answer, toward); {
		case ok && further == answer:
			return answer, nil
		case ok && answer == bound:
			return 0, nil
		case ok: // a peak beyond it was seen
			continue
		}
		answer += toward * s.Step
	}
	return 0, nil
}

// clear moves an answer by whole steps until it is clear of all kills.
func (s *Search) clear(answer, toward int64) int64 {
	for _, t := range s.Tried {
		short := int64(math.Ceil(s.Clear*float64(t.Value))) - (answer-t.Value)*toward
		if !t.Survived && s.Clear > 0 && short > 0 {
			answer += toward * s.Step * ((short + s.Step - 1) / s.Step)
		}
	}
	if s.Least != nil {
		answer += s.Step * max(0, (s.Least()-answer+s.Step-1)/s.Step)
	}
	return answer
}

// Border is the value that was killed next to the answer, 0 when none was.
func (s *Search) Border(answer int64) int64 {
	var border int64
	for _, t := range s.Tried {
		if !t.Survived && t.Value != answer && (border == 0 || abs(t.Value-answer) < abs(border-answer)) {
			border = t.Value
		}
	}
	return border
}

func abs(n int64) int64 { return max(n, -n) }
