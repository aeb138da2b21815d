package soak

import (
	"context"
	"fmt"
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
	if s.Step <= 0 || lo < 1 || hi < lo {
		return 0, fmt.Errorf("%w: search from %d to %d by %d", ErrConfig, lo, hi, s.Step)
	}
	ok, err := s.ask(ctx, hi)
	if err != nil || !ok {
		return 0, err
	}
	if ok, err = s.ask(ctx, lo); err != nil {
		return 0, err
	} else if ok {
		return lo, nil
	}
	for hi-lo > s.Step {
		mid := lo + (hi-lo)/2
		if hi-lo >= 2*s.Step {
			mid = lo + (hi-lo)/2/s.Step*s.Step
		}
		if ok, err = s.ask(ctx, mid); err != nil {
			return 0, err
		}
		if ok {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

// Largest finds the largest value, to Step, from lo to hi that survives, for a subject that survives the less the
// larger the value. It doubles from lo, so that values far beyond the border are not tried. It returns 0 when not even
// lo survives.
func (s *Search) Largest(ctx context.Context, lo, hi int64) (int64, error) {
	if s.Step <= 0 || lo < 1 || hi < lo {
		return 0, fmt.Errorf("%w: search from %d to %d by %d", ErrConfig, lo, hi, s.Step)
	}
	ok, err := s.ask(ctx, lo)
	if err != nil || !ok {
		return 0, err
	}
	for lo < hi {
		next := min(2*lo, hi)
		if ok, err = s.ask(ctx, next); err != nil {
			return 0, err
		}
		if !ok {
			hi = next
			break
		}
		lo = next
	}
	for hi-lo > s.Step {
		mid := lo + (hi-lo)/2
		if ok, err = s.ask(ctx, mid); err != nil {
			return 0, err
		}
		if ok {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// Settle repeats the search's answer until it has survived so many times in all, and moves it by toward (a number of
// steps, to the safe side) where a repetition is killed. It returns 0 when nothing up to the bound survives.
func (s *Search) Settle(ctx context.Context, answer, toward, bound int64, times int) (int64, error) {
	for answer > 0 && (toward > 0 && answer <= bound || toward < 0 && answer >= bound) {
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
		if ok {
			return answer, nil
		}
		answer += toward * s.Step
	}
	return 0, nil
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
