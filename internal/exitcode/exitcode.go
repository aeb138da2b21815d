// Package exitcode is the one place where the exit codes of every command are defined. They are API: scripts and
// CI depend on them.
package exitcode

import "errors"

// The exit codes.
const (
	OK           = 0  // pass or done
	Error        = 1  // something failed
	UsageError   = 2  // wrong usage or configuration
	Inconclusive = 3  // nothing can be said: missing, short or contradictory data
	GateFailed   = 99 // a threshold or the gate failed
)

// The exit codes of soak gate --bisect-run, as git bisect run reads them.
const (
	BisectBad  = 1
	BisectSkip = 125
	BisectStop = 255 // no revision is to blame: the search itself is set up wrongly
)

type coded struct {
	error
	code   int
	silent bool
}

func (e coded) Unwrap() error { return e.error }
func (e coded) Silent() bool  { return e.silent }

// With gives err a code.
func With(code int, err error) error {
	if err == nil {
		return nil
	}
	return coded{error: err, code: code}
}

// Quiet is With for an error that has been shown to the user already.
func Quiet(code int, err error) error {
	if err == nil {
		return nil
	}
	return coded{error: err, code: code, silent: true}
}

// Usage gives err the code of wrong usage or configuration.
func Usage(err error) error { return With(UsageError, err) }

// Of returns the code of err: 0 for nil, Error when it carries none.
func Of(err error) int {
	var c coded
	switch {
	case err == nil:
		return OK
	case errors.As(err, &c):
		return c.code
	default:
		return Error
	}
}
