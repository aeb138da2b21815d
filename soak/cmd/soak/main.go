// Command soak sweeps settings over a subject process, records its memory and says what holds it.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code. It is the whole program, so that tests can call it.
func run(args []string, stdout, stderr io.Writer) int {
	return command.Run(newRoot(), args, stdout, stderr)
}

// newRoot builds the command tree. Each command lives in a file of its own.
func newRoot() *cobra.Command {
	return command.Root("soak", "Find out what holds a Go service's memory",
		newViewCmd(), newPushCmd(), newGateCmd(), newBaselineCmd(), newReportCmd(), newFakes3Cmd(), newGatewayCmd(),
		newVerifyCmd(), newDiagnoseCmd(), newDiffCmd(), newPlanCmd(), newRunCmd(), newMergeCmd(), newSubjectCmd(),
		newInitCmd(),
		newRecordCmd(), newLimitCmd(), newK8sCmd(), newCanaryCmd(), newBisectCmd(), newHoldersCmd())
}

// mustExist makes a path that is not there wrong usage.
func mustExist(path string) error {
	_, err := os.Stat(path)
	return exitcode.Usage(err)
}

// usageArgs makes an argument check fail with the exit code of wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs { return command.Args(check) }
