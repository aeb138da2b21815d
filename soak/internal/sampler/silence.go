package sampler

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/internal/bounded"
)

// DefaultPatience bounds one reading of a subject: one that hangs, or sends a byte now and then, must not hang the
// trial.
var DefaultPatience = bounded.Reading.Within

// MaxSilent is how many readings of one page in a row may stay without an answer before the subject counts as silent.
const MaxSilent = 3

// ErrSilent is returned, wrapped with the page, by every reading of a subject that counts as silent.
var ErrSilent = errors.New("the subject doesn't answer")

// ErrNoAnswer is returned, wrapped, by a reading that had no whole answer in time.
var ErrNoAnswer = errors.New("no whole answer")

func (s *Sampler) patience() time.Duration {
	if s.Patience > 0 {
		return s.Patience
	}
	return DefaultPatience
}

// silence counts, for each page, the readings in a row that had no answer in time. A page that answers with garbage or
// an error is not silent: the trial continues without it, and says so.
type silence struct {
	mu    sync.Mutex
	late  map[string]int
	error error
}

// broken is the ErrSilent of a subject that counts as silent.
func (s *silence) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.error
}

// note counts a reading; the one that makes the subject silent gets the ErrSilent, and no other.
func (s *silence) note(url string, late bool, patience time.Duration) error {
	page, _, _ := strings.Cut(url, "?")
	s.mu.Lock()
	defer s.mu.Unlock()
	if !late {
		delete(s.late, page)
		return nil
	}
	if s.late == nil {
		s.late = map[string]int{}
	}
	s.late[page]++
	if s.error != nil || s.late[page] < MaxSilent {
		return nil
	}
	s.error = fmt.Errorf("%w: %d readings of %s in a row had no whole answer within %s each", ErrSilent, MaxSilent, page,
		patience)
	return s.error
}
