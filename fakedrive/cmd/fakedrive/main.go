// Command fakedrive serves a synthetic Google Drive.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code. It is the whole program, so that tests can call it.
func run(args []string, stdout, stderr io.Writer) int {
	return command.Run(newRoot(), args, stdout, stderr)
}

// newRoot builds the command tree. Each command lives in a file of its own.
func newRoot() *cobra.Command {
	return command.Root("fakedrive", "Serve a synthetic Google Drive", newServeCmd(), newCorpusCmd())
}
