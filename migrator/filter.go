package migrator

import (
	"errors"
	"fmt"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Filter says which files are copied. The zero value takes all.
type Filter struct {
	// Include and Exclude are glob patterns on the path below the root ("**/*.jpg", "photos/**"). A file is taken if
	// it fits one of Include (or there is none) and none of Exclude.
	Include, Exclude []string
	MinSize, MaxSize int64 // bytes; 0 is no bound. Files of unknown size pass
	ModifiedAfter    time.Time
}

func (f *Filter) validate() error {
	var errs []error
	for _, list := range [][]string{f.Include, f.Exclude} {
		for _, p := range list {
			if !doublestar.ValidatePattern(p) {
				errs = append(errs, fmt.Errorf("bad pattern %q: want a glob as in '**/*.jpg'", p))
			}
		}
	}
	if f.MaxSize > 0 && f.MinSize > f.MaxSize {
		errs = append(errs, fmt.Errorf("min size %d is above max size %d", f.MinSize, f.MaxSize))
	}
	return errors.Join(errs...)
}

// takes says why a file isn't copied; empty when it is.
func (f *Filter) takes(path string, size int64, modified time.Time) string {
	switch {
	case len(f.Include) > 0 && !matchAny(f.Include, path):
		return "not-included"
	case matchAny(f.Exclude, path):
		return "excluded"
	case size >= 0 && size < f.MinSize:
		return "too-small"
	case f.MaxSize > 0 && size > f.MaxSize:
		return "too-large"
	case !f.ModifiedAfter.IsZero() && !modified.After(f.ModifiedAfter):
		return "too-old"
	}
	return ""
}

func matchAny(patterns []string, path string) bool {
	for _, p := range patterns {
		if ok, err := doublestar.Match(p, path); err == nil && ok {
			return true
		}
	}
	return false
}
