package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/soak"
)

// The targets of the figures.
const (
	exact      = 0.10 // of workers
	exactFiles = 0.15
	answered   = 0.80
	covered    = 0.95
)

// answers reports whether the score's subject got an answer.
func (s *score) answers() bool { return s.Answer != 0 }

// unsafe reports whether any real run at the answer, or with less than it, was killed.
func (s *score) unsafe() bool {
	return s.Killed > 0 || s.Asks == workers && slices.ContainsFunc(s.Tried,
		func(t soak.Tried) bool { return !t.Survived && t.Value <= s.Answer })
}

// needed reports whether any real run was killed by a limit that is lower by a tenth or less: a smaller one isn't safe.
func (s *score) needed() bool {
	return s.KilledBelow > 0 || slices.ContainsFunc(s.Tried, func(t soak.Tried) bool {
		return !t.Survived && t.Value < s.Answer && float64(t.Value)*(1+exact) >= float64(s.Answer)
	})
}

// bound reports whether the answer says that there may be more.
func (s *score) bound() bool { return s.AtLeast || s.Perhaps > 0 }

// right reports whether the answer is as near to the truth as is asked. A lower bound is right where it is safe, and a
// range where it has the truth.
func (s *score) right() bool {
	switch {
	case s.unsafe():
		return false
	case s.Asks == smallestLimit:
		return s.needed()
	case s.Asks == files && !s.AtLeast:
		return near(s.Answer, s.Truth, exactFiles)
	case s.Perhaps > 0:
		return s.Truth <= s.Perhaps && s.Answer <= s.Truth
	case s.AtLeast:
		return s.Answer <= s.Truth
	case s.Answer < 0:
		return s.Truth == 0
	}
	return near(s.Answer, s.Truth, exact)
}

func (s *score) String() string {
	verdict := "right"
	switch {
	case !s.answers():
		verdict = "no answer"
	case s.unsafe():
		verdict = "UNSAFE"
	case !s.right():
		verdict = "not near"
	}
	if s.other {
		verdict += " (recorded by another build)"
	}
	least := ""
	switch {
	case s.Perhaps > 0 && s.Asks == workers:
		least = fmt.Sprintf("%d to %d, of which safe: ", max(s.Answer, 0), s.Perhaps)
	case s.AtLeast:
		least = "at least "
	}
	switch s.Asks {
	case files:
		to := ""
		if s.Perhaps > 0 {
			to = fmt.Sprintf(" (95 %%: to %d)", s.Perhaps)
		}
		return fmt.Sprintf("%-26s %9s  %s%d files fit%s, killed after %d: %s", s.Name, units.FormatBytes(s.Limit), least,
			s.Answer, to, s.Truth, verdict)
	case smallestLimit:
		return fmt.Sprintf("%-26s survives at %s, in %d more runs at most: killed there %t, within a tenth below %t: %s",
			s.Name, units.FormatBytes(s.Answer), tries, s.Killed > 0, s.needed(), verdict)
	}
	return fmt.Sprintf("%-26s %9s  %s%d workers, %d survive %d of %d: %s", s.Name, units.FormatBytes(s.Limit), least,
		s.Answer, s.Truth, tries, tries, verdict)
}

// figure is a count beside its goal.
type figure struct {
	what, asked string
	got, of     int
	met         bool
}

// figures are those of the scores; one that nothing was measured for is missed.
func figures(scores []score) []figure {
	var all, unsafe, other, ofWorkers, said, numbers, right, bounds, hold int
	var ofFiles, rightFiles, within, ofLimits, rightLimits, byThree int
	subjects := map[string]bool{}
	for _, s := range scores {
		all++
		if s.unsafe() {
			unsafe++
		}
		if s.other {
			other++
		}
		near := 0
		if s.answers() && s.right() {
			near = 1
		}
		switch s.Asks {
		case workers:
			subjects[s.Name] = true
			ofWorkers++
			if !s.answers() {
				continue
			}
			said++
			if s.bound() {
				bounds, hold = bounds+1, hold+near
			} else {
				numbers++
				right += near
			}
		case files:
			if s.AtLeast {
				bounds, hold = bounds+1, hold+near
				continue
			}
			ofFiles++
			rightFiles += near
			if s.answers() && s.Truth <= s.Perhaps {
				within++
			}
		case smallestLimit:
			ofLimits, rightLimits = ofLimits+1, rightLimits+near
			byThree += min(s.KilledBelow, 1) * near
		}
	}
	return []figure{
		{"subjects measured", ">= 24", len(subjects), max(24, len(subjects)), len(subjects) >= 24},
		{"answers of this build", "all", all - other, all, other == 0 && all > 0},
		{"unsafe answers", "0", unsafe, all, unsafe == 0 && all > 0},
		{"answers on workers", ">= 80 %", said, ofWorkers, float64(said) >= answered*float64(ofWorkers) && ofWorkers > 0},
		{"answers within 10 % or one worker", "all", right, numbers, right == numbers && right > 0},
		{"ranges and lower bounds that hold", "all", hold, bounds, hold == bounds && ofWorkers > 0},
		{"files that fit within 15 %", "all", rightFiles, ofFiles, rightFiles == ofFiles && ofFiles > 0},
		{"files whose interval has the death", ">= 95 %", within, ofFiles, float64(within) >= covered*float64(ofFiles) &&
			ofFiles > 0},
		{"soak limit: no kill there, one within a tenth below", "all", rightLimits, ofLimits, rightLimits == ofLimits &&
			ofLimits > 0},
		{"by three runs at a tenth below alone", "-", byThree, ofLimits, true},
	}
}

// printFigures prints them beside their goals and returns how many are missed.
func printFigures(w io.Writer, scores []score) (missed int) {
	fmt.Fprintln(w)
	for _, f := range figures(scores) {
		state := "met"
		switch {
		case f.asked == "-":
			state = ""
		case !f.met:
			state = "MISSED"
			missed++
		}
		fmt.Fprintf(w, "%-52s asked %-8s measured %d of %d  %s\n", f.what, f.asked, f.got, f.of, state)
	}
	return missed
}

// output is what a program prints, with its exit code.
func output(ctx context.Context, program string, args ...string) ([]byte, int, error) {
	text, err := exec.CommandContext(ctx, program, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return text, exit.ExitCode(), fmt.Errorf("%s %s: %w: %s", program, args[0], err, exit.Stderr)
	}
	return text, 0, err
}
