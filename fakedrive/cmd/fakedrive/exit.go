package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
)

// The exit codes of every command.
const (
	exitOK    = 0
	exitUsage = 2 // wrong usage or configuration
)

// usageError is an error in what the user wrote: flags, arguments, spec and fault files.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitCode returns the exit code of a command that ended with err.
func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	default:
		return exitcode.Of(err)
	}
}

// usageArgs makes an argument check fail with the exit code of wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{fmt.Errorf("%w; see '%s --help'", err, c.CommandPath())}
		}
		return nil
	}
}
