// Package command is how every program runs its command line: signals end it, errors are one line, wrong usage
// has a code of its own, and every program says its version. It imports nothing but the exit codes and the version, so
// that subjects may use it, too.
package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/foreign"
	"github.com/memsoak/memsoak/internal/setting"
	"github.com/memsoak/memsoak/internal/version"
)

// Root is a program's root command: without a subcommand it shows its help.
func Root(name, short string, subcommands ...*cobra.Command) *cobra.Command {
	root := Group(name, short, subcommands...)
	root.SilenceUsage, root.SilenceErrors = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitcode.Usage(err) })
	AddVersion(root)
	CheckSettings(root)
	return root
}

// Group is a command that has subcommands alone: without one it shows its help.
func Group(name, short string, subcommands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: name, Short: short, Args: Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	group.AddCommand(subcommands...)
	return group
}

// CheckSettings has every command below root check the flags that it is given against the registry of settings before
// it begins, and say the ranges in its help.
func CheckSettings(root *cobra.Command) {
	setting.Document(root.Flags())
	check := root.PreRunE
	root.PreRunE = func(c *cobra.Command, args []string) error {
		if err := setting.Flags(c.Flags()); err != nil {
			return exitcode.Usage(err)
		}
		if check == nil {
			return nil
		}
		return check(c, args)
	}
	for _, c := range root.Commands() {
		CheckSettings(c)
	}
}

// AddVersion gives a program the flag --version and the command version, which say the same.
func AddVersion(root *cobra.Command) {
	info := version.Read()
	root.Version = info.String()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version, revision and Go version",
		Example: fmt.Sprintf("  %s version\n  %s version --json", root.Name(), root.Name()),
		Args:    Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(info)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s\n", root.Name(), info)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	root.AddCommand(cmd)
}

// Run executes one command line of a Root and returns its exit code. An interrupt or SIGTERM cancels the command's
// context. An error is a line on stderr, unless it says that it was shown already (exitcode.Quiet). No command writes
// control characters of others to a terminal (package foreign).
func Run(root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	return RunContext(context.Background(), root, args, stdout, stderr)
}

// RunContext is Run below a context: where that ends, so does the command, as by an interrupt.
func RunContext(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root.SetArgs(args)
	root.SetOut(foreign.NewWriter(stdout))
	root.SetErr(foreign.NewWriter(stderr))
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitcode.OK
	}
	if strings.HasPrefix(err.Error(), "required flag(s) ") { // cobra's own, which has no type
		err = exitcode.Usage(err)
	}
	var silent interface{ Silent() bool }
	if !errors.As(err, &silent) || !silent.Silent() {
		prefix := root.Name() + ": "
		fmt.Fprintln(stderr, prefix+foreign.Line(err.Error(), len(prefix)))
	}
	return exitcode.Of(err)
}

// Args makes an argument check fail with the exit code of wrong usage.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return exitcode.Usage(fmt.Errorf("%w; see '%s --help'", err, c.CommandPath()))
		}
		return nil
	}
}
