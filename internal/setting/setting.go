// Package setting is the registry of what people may set: each setting that has a number, a size, a time, an address or
// a choice has one row with its range and its unit. The row checks the value wherever it comes from, before anything
// begins, and is what --help says of it. A setting means the same in every command, so rows go by name alone.
package setting

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/units"
)

// Kind is what a setting's value is.
type Kind uint8

// The kinds. A Number may have any type that holds one.
const (
	Number Kind = iota
	Time
	Size
	URL
	Choice
)

// Setting is one row.
type Setting struct {
	Name string
	Kind Kind
	// Min and Max are inclusive: numbers, nanoseconds or bytes.
	Min, Max float64
	Unit     string // of a number
	// Zero says what 0 stands for where it is below Min; without it 0 is refused.
	Zero    string
	Choices []string
}

// ErrRange is returned, wrapped, for a value outside its setting's range.
var ErrRange = errors.New("out of range")

// Find returns the row of a name.
func Find(name string) (Setting, bool) {
	i := slices.IndexFunc(All, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return All[i], true
}

// Int checks a number under its setting's name; a name without a row is a mistake of the program.
func Int(name string, v int64) error {
	s, ok := Find(name)
	if !ok {
		return fmt.Errorf("no setting %q", name)
	}
	return s.within(float64(v), strconv.FormatInt(v, 10))
}

// Text checks a value as it was written; a name without a row has no range.
func Text(name, value string) error {
	s, ok := Find(name)
	if !ok {
		return nil
	}
	return s.Check(value)
}

// Check returns an error that names the mistake in a written value.
func (s Setting) Check(value string) error {
	switch s.Kind {
	case Time:
		d, err := time.ParseDuration(value)
		if err != nil {
			return s.wrong(value)
		}
		return s.within(float64(d), value)
	case Size:
		n, err := units.ParseBytes(value)
		if err != nil {
			return s.wrong(value)
		}
		return s.within(float64(n), value)
	case URL:
		u, err := url.Parse(value)
		if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" ||
			u.Port() != "" && Text("port", u.Port()) != nil {
			return s.wrong(value)
		}
		return nil
	case Choice:
		if !slices.Contains(s.Choices, value) {
			return s.wrong(value)
		}
		return nil
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return s.wrong(value)
	}
	return s.within(n, value)
}

func (s Setting) within(v float64, written string) error {
	if v == 0 && s.Zero != "" || v >= s.Min && v <= s.Max {
		return nil
	}
	return s.wrong(written)
}

func (s Setting) wrong(written string) error {
	return fmt.Errorf("%w: %s: want %s, have %q", ErrRange, s.Name, s.Range(), written)
}

// Range is the row in words: "1 to 1000 trials", "1s to 24h0m0s", "http://host:port".
func (s Setting) Range() string {
	var words string
	switch s.Kind {
	case URL:
		return "http://host:port or https://host:port"
	case Choice:
		return strings.Join(s.Choices, " or ")
	case Time:
		words = time.Duration(s.Min).String() + " to " + time.Duration(s.Max).String()
	case Size:
		words = exact(s.Min) + " to " + exact(s.Max)
	default:
		words = plain(s.Min) + " to " + plain(s.Max)
		if s.Max == math.MaxUint64 {
			words = "any"
		}
	}
	if s.Unit != "" {
		words += " " + s.Unit
	}
	if s.Zero != "" {
		words += ", 0 " + s.Zero
	}
	return words
}

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func exact(v float64) string {
	if v < 1<<10 {
		return plain(v) + " bytes"
	}
	return units.Bytes(v).String()
}

// Flags checks the flags that were given.
func Flags(fs *pflag.FlagSet) error {
	var errs []error
	fs.Visit(func(f *pflag.Flag) {
		if s, ok := of(f); ok {
			if err := s.Check(f.Value.String()); err != nil {
				errs = append(errs, fmt.Errorf("--%w", renamed{err}))
			}
		}
	})
	return errors.Join(errs...)
}

// renamed keeps an error's identity and leaves out the words of ErrRange, which the range itself says better.
type renamed struct{ error }

func (r renamed) Error() string { return strings.TrimPrefix(r.error.Error(), ErrRange.Error()+": ") }
func (r renamed) Unwrap() error { return r.error }

// of is the row of a flag. Flags without a value, or with a free text, have none: --workers of 'soak limit' is a
// switch.
func of(f *pflag.Flag) (Setting, bool) {
	s, ok := Find(f.Name)
	if !ok || f.Value.Type() == "bool" {
		return Setting{}, false
	}
	return s, true
}

// Numeric says that a flag holds a number, a time or a size, and so has to have a row.
func Numeric(f *pflag.Flag) bool {
	switch f.Value.Type() {
	case "string", "bool", "stringArray", "stringSlice", "stringToString", "count":
		return false
	}
	return true
}

// Document adds the ranges to the usage of the flags.
func Document(fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		if s, ok := of(f); ok && s.Kind != URL && !strings.HasSuffix(f.Usage, ")") {
			f.Usage += " (" + s.Range() + ")"
		}
	})
}
