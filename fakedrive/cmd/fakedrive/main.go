// Command fakedrive serves a synthetic Google Drive.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	cmdline "github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/foreign"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code. It is the whole program, so that tests can call it.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return runContext(ctx, args, stdout, stderr)
}

// runContext is run under a context: its end is the user's interrupt.
func runContext(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(foreign.NewWriter(stdout))
	root.SetErr(foreign.NewWriter(stderr))
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "fakedrive: "+foreign.Line(err.Error(), len("fakedrive: ")))
	}
	return exitCode(err)
}

// newRoot builds the command tree. Each command lives in a file of its own.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "fakedrive",
		Short:         "Serve a synthetic Google Drive",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newServeCmd(), newCorpusCmd())
	cmdline.AddVersion(root)
	cmdline.CheckSettings(root)
	return root
}
