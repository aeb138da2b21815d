// Command migrator copies Google Drive trees to S3 with memory bounded by its workers.
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

func newRoot() *cobra.Command {
	root := command.Root("migrator", "Copy Google Drive to S3 with memory bounded by workers", newCopyCmd(),
		newServeCmd(), newVerifyCmd(), newStatusCmd(), newForgetCmd(), newDiscoverCmd(), newUploadCmd())
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return exitcode.Usage(tuneMemory()) }
	return root
}
