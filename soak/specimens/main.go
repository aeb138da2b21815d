// Command specimens is a subject with one known memory fault, chosen by name: the patients on which the diagnosis is
// tested. What each one's verdict has to be is written in truth/NAME.yaml.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	return command.Run(newRoot(), args, stdout, stderr)
}

func newRoot() *cobra.Command {
	return command.Root("specimens", "Copy Drive to S3 with one known memory fault", newServeCmd(), newListCmd(),
		newWebCmd())
}
