package command

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/exitcode"
)

func run(t *testing.T, do func(*cobra.Command) error, args ...string) (code int, out, errs string) {
	t.Helper()
	sub := &cobra.Command{Use: "do", Args: Args(cobra.NoArgs), RunE: func(c *cobra.Command,
		_ []string) error {
		return do(c)
	}}
	sub.Flags().String("must", "", "")
	assert.NoError(t, sub.MarkFlagRequired("must"))
	var o, e bytes.Buffer
	code = Run(Root("prog", "Do a thing", sub), args, &o, &e)
	return code, o.String(), e.String()
}

func fails(err error) func(*cobra.Command) error {
	return func(*cobra.Command) error { return err }
}

func TestExitCodesAndTheOneLine(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		args []string
		code int
		line string
	}{
		"fine":     {nil, []string{"do", "--must=1"}, exitcode.OK, ""},
		"help":     {nil, nil, exitcode.OK, ""},
		"an error": {errors.New("no luck"), []string{"do", "--must=1"}, exitcode.Error, "prog: no luck\n"},
		"its own code": {exitcode.With(exitcode.GateFailed, errors.New("too much")), []string{"do", "--must=1"},
			exitcode.GateFailed, "prog: too much\n"},
		"shown already": {exitcode.Quiet(exitcode.GateFailed, errors.New("too much")), []string{"do", "--must=1"},
			exitcode.GateFailed, ""},
		"an argument": {nil, []string{"do", "--must=1", "more"}, exitcode.UsageError,
			"prog: unknown command \"more\" for \"prog do\"; see 'prog do --help'\n"},
		"a flag":         {nil, []string{"do", "--nope"}, exitcode.UsageError, "prog: unknown flag: --nope\n"},
		"a flag missing": {nil, []string{"do"}, exitcode.UsageError, "prog: required flag(s) \"must\" not set\n"},
		"a command": {nil, []string{"dont"}, exitcode.UsageError,
			"prog: unknown command \"dont\" for \"prog\"; see 'prog --help'\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := run(t, fails(c.err), c.args...)
			assert.Equal(t, c.code, code)
			assert.Equal(t, c.line, errs)
			assert.Equal(t, c.args == nil, out != "", "only help is printed")
		})
	}
}

func TestASignalEndsTheCommand(t *testing.T) {
	code, _, errs := run(t, func(c *cobra.Command) error {
		assert.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
		select {
		case <-c.Context().Done():
			return context.Cause(c.Context())
		case <-time.After(time.Minute):
			return errors.New("the signal did not arrive")
		}
	}, "do", "--must=1")
	assert.Equal(t, exitcode.Error, code)
	assert.NotContains(t, errs, "did not arrive")
}

func TestEveryProgramSaysItsVersion(t *testing.T) {
	_, flag, _ := run(t, nil, "--version")
	code, said, _ := run(t, nil, "version")
	assert.Equal(t, exitcode.OK, code)
	assert.Equal(t, flag, said)
	assert.Regexp(t, `^prog \S+.*, go1\.\S+\n$`, said)
	_, text, _ := run(t, nil, "version", "--json")
	assert.Regexp(t, `^\{"module":".*","version":".*","go":"go1.*"\}\n$`, text)
	code, _, errs := run(t, nil, "version", "more")
	assert.Equal(t, exitcode.UsageError, code)
	assert.Equal(t, 1, strings.Count(errs, "\n"), errs)
}
