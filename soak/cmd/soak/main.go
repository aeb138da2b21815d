// Command soak sweeps settings over a subject process, records its memory and says what holds it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"memsoak/soak/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code. It is the whole program, so that tests can call it.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitcode.OK
	}
	if strings.HasPrefix(err.Error(), "required flag(s) ") { // cobra's own, which has no type
		err = exitcode.Usage(err)
	}
	var silent interface{ Silent() bool }
	if !errors.As(err, &silent) || !silent.Silent() {
		fmt.Fprintln(stderr, "soak:", err)
	}
	return exitcode.Of(err)
}

// newRoot builds the command tree. Each command lives in a file of its own.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "soak",
		Short:         "Find out what holds a Go service's memory",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitcode.Usage(err) })
	root.AddCommand(newViewCmd(), newPushCmd(), newGateCmd(), newBaselineCmd(), newReportCmd(), newFakes3Cmd(), newVerifyCmd(), newDiagnoseCmd(), newPlanCmd(), newRunCmd(), newMergeCmd(), newSubjectCmd(), newRecordCmd(), newLimitCmd(), newK8sCmd(), newCanaryCmd(), newBisectCmd(), newReplayCmd())
	return root
}

// mustExist makes a path that is not there wrong usage.
func mustExist(path string) error {
	_, err := os.Stat(path)
	return exitcode.Usage(err)
}

// usageArgs makes an argument check fail with the exit code of wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return exitcode.Usage(fmt.Errorf("%w; see '%s --help'", err, c.CommandPath()))
		}
		return nil
	}
}
