// Command replay is the service of the history as a subject of soak: each version is a preset, and each of its traits a
// flag. Command replay-study runs all of them.
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
	return command.Root("replay", "The service that memsoak began with, version by version", newServeCmd(),
		newPresetsCmd())
}
