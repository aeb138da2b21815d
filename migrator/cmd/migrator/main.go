// Command migrator copies Google Drive trees to S3 with memory bounded by its workers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	cmdline "github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/foreign"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// The exit codes. They are API.
const (
	exitOK    = 0
	exitUsage = 2
)

// usageError is an error of usage or configuration.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// run executes one command line and returns its exit code. It is the whole program, so that tests can call it.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(foreign.NewWriter(stdout))
	root.SetErr(foreign.NewWriter(stderr))
	err := tuneMemory()
	if err != nil {
		err = usageError{err}
	} else {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "migrator: "+foreign.Line(err.Error(), len("migrator: ")))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitcode.Of(err)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "migrator",
		Short:         "Copy Google Drive to S3 with memory bounded by workers",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newCopyCmd(), newServeCmd(), newVerifyCmd(), newStatusCmd(), newForgetCmd(), newDiscoverCmd(),
		newUploadCmd())
	cmdline.AddVersion(root)
	cmdline.CheckSettings(root)
	return root
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
