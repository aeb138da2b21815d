package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/exitcode"
)

// commandLine runs one command line.
func commandLine(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestCorpusListNamesEveryPreset(t *testing.T) {
	code, text, _ := commandLine("corpus", "list")
	require.Equal(t, exitcode.OK, code)
	for _, name := range corpus.Presets() {
		require.Contains(t, text, "\n"+name+" ")
	}
	code, text, _ = commandLine("corpus", "list", "--json")
	require.Equal(t, exitcode.OK, code)
	var lines []corpusLine
	require.NoError(t, json.Unmarshal([]byte(text), &lines))
	require.Len(t, lines, len(corpus.Presets()))
	require.Equal(t, corpusLine{"huge-file", "One file of 1 TiB.", 1, 0, 1 << 40}, lines[3])
}

func TestCorpusShowPrintsStatisticsAndASample(t *testing.T) {
	code, text, _ := commandLine("corpus", "show", "tiny", "--sample", "12")
	require.Equal(t, exitcode.OK, code)
	for _, want := range []string{"files        40: 31 binaries, 6 documents, 3 shortcuts (1 dangling)", "\nSIZE FROM",
		"My Drive (1", "... 49 items in all"} {
		require.Contains(t, text, want)
	}
	code, text, _ = commandLine("corpus", "show", "tiny", "--sample", "12", "--json")
	require.Equal(t, exitcode.OK, code)
	var info struct {
		Stats  corpus.Stats
		Sample []struct{ ID, Path, MD5, Kind string }
	}
	require.NoError(t, json.Unmarshal([]byte(text), &info))
	require.EqualValues(t, 40, info.Stats.Files)
	require.Len(t, info.Sample, 12)
	tree, err := loadTree("tiny", 1)
	require.NoError(t, err)
	for _, item := range info.Sample {
		n, ok := tree.Ordinal(item.ID)
		require.True(t, ok)
		require.Equal(t, strings.Join(tree.Path(n), "/"), item.Path)
		if item.Kind == "binary" {
			require.Equal(t, tree.Sums(n, corpus.MD5).MD5Hex(), item.MD5)
		}
	}
}

func TestCorpusShowSpecCanBeEditedAndShown(t *testing.T) {
	code, text, _ := commandLine("corpus", "show", "--spec", "tiny")
	require.Equal(t, exitcode.OK, code)
	file := filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(text, "files: 40", "files: 50", 1)), 0o600))
	code, text, _ = commandLine("corpus", "show", file)
	require.Equal(t, exitcode.OK, code)
	require.Contains(t, text, "mine\n")
	require.Contains(t, text, "50: 41 binaries")
}

func TestTheSpecInTheHelpIsOne(t *testing.T) {
	code, text, _ := commandLine("corpus", "show", "--help")
	require.Equal(t, exitcode.OK, code)
	require.Contains(t, text, specHelp)
	spec, err := corpus.ParseSpec([]byte(specHelp))
	require.NoError(t, err)
	require.Len(t, spec.Size.Classes, 4)
	require.Equal(t, "Team", spec.SharedDrive)
}

func TestCorpusShowEveryPreset(t *testing.T) {
	for _, name := range corpus.Presets() {
		code, text, stderr := commandLine("corpus", "show", name)
		require.Equal(t, exitcode.OK, code, stderr)
		require.Less(t, strings.Count(text, "\n"), 80, name)
	}
}

func TestCorpusCommandsRefuseWhatTheyDontKnow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(file, []byte("seed: 1\nfolder: 3\n"), 0o600))
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"corpus", "show"}, "accepts 1 arg(s), received 0; see 'fakedrive corpus show --help'"},
		{[]string{"corpus", "show", "nothing"}, `no corpus and no file named "nothing"; the corpora are bench-large, `},
		{[]string{"corpus", "show", file}, file + `: line 2, column 1: unknown key "folder"; there are depth`},
		{[]string{"corpus", "show", "tiny", "--sample=-1"}, "--sample: want 0 to 1000000 items"},
		{[]string{"corpus", "show", "tiny", "--colour"}, "unknown flag: --colour"},
		{[]string{"corpus", "show", "--spec", file}, "no corpus named"},
		{[]string{"corpus", "lists"}, `unknown command "lists"`},
	} {
		code, stdout, stderr := commandLine(c.args...)
		require.Equal(t, exitcode.UsageError, code, c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.want)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
}
