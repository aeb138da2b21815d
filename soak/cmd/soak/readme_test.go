package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The root README promises commands and files; this holds it to them. Its longer examples are run by the tests of the
// folders' own READMEs.
func TestREADMENamesOnlyWhatIsThere(t *testing.T) {
	top := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	require.NoError(t, err)

	targets := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(targets), 8)
	for _, m := range targets {
		assert.True(t, strings.Contains(string(makefile), "\n"+m[1]+":"), "the Makefile has no target %s", m[1])
	}
	commands := regexp.MustCompile(`(?m)^bin/soak (.*)$`).FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(commands), 5)
	for _, m := range commands {
		line, _, _ := strings.Cut(m[1], "#")
		checkCommand(t, strings.Fields(line))
	}
	for _, m := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
		assert.FileExists(t, filepath.Join(top, m[1]))
	}
}

// checkCommand finds the command that the words name and looks each flag up in it.
func checkCommand(t *testing.T, words []string) {
	t.Helper()
	cmd, rest, err := newRoot().Find(words)
	require.NoError(t, err, words)
	require.NotEqual(t, "soak", cmd.Name(), "%v names no command", words)
	for _, w := range rest {
		if w == "--" {
			return // what follows is another program's
		}
		if name, ok := strings.CutPrefix(w, "--"); ok {
			assert.NotNil(t, cmd.Flag(name), "soak %s has no --%s", cmd.Name(), name)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Name() == "help" || c.Hidden {
			return
		}
		if c.HasParent() && !c.HasSubCommands() {
			assert.NotEmpty(t, c.Example, c.CommandPath())
			assert.NotEmpty(t, c.Short, c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

func TestWrongUsageHasItsExitCode(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"}, {"run", "--nonsense"}, {"run", "--axis", "nonsense=1"}, {"merge", "a"}, {"plan", "no-such-run",
			"--limit", "2Gi"},
		{"gate", "no-such-run"}, {"report", "no-such-run"}, {"verify", "no-such-run"}, {"view", "no-such-run"},
	} {
		var stdout, stderr strings.Builder
		assert.Equal(t, 2, run(args, &stdout, &stderr), args)
		assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), "%v: one line: %s", args, stderr.String())
		assert.Empty(t, stdout.String(), args)
	}
}
