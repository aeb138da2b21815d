package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fake writes three programs that all do the same with a wrong input, and list one flag when they are asked for help.
func fake(t *testing.T, does string) string {
	dir := t.TempDir()
	script := "#!/bin/sh\nfor a in \"$@\"; do if [ \"$a\" = --help ]; then echo '  --repeats int'; exit 0; fi; done\n" +
		does + "\n"
	for _, name := range []string{"soak", "migrator", "fakedrive"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700))
	}
	return dir
}

func TestEachFigureIsMissedByAProgramThatMissesIt(t *testing.T) {
	for does, missed := range map[string]string{
		"echo 'soak: no' >&2; exit 2":  "",
		"exit 0":                       "exits of 0                       asked for 0, measured 12  MISSED",
		"echo 'panic: oh' >&2; exit 2": "panics                           asked for 0, measured 12  MISSED",
		"echo 'a\nb' >&2; exit 2":      "messages that are not one line   asked for 0, measured 12  MISSED",
		"exit 2":                       "messages that are not one line   asked for 0, measured 12  MISSED",
		"head -c 400 /dev/zero | tr '\\0' x >&2; echo >&2; exit 2": "messages over 300 bytes          asked for 0, " +
			"measured 12  MISSED",
	} {
		var out bytes.Buffer
		bad, err := try(fake(t, does), 12, 2, 1, &out)
		require.NoError(t, err)
		assert.Equal(t, missed != "", bad, out.String())
		assert.Contains(t, out.String(), missed)
	}
}

func TestTheSameSeedMakesTheSameInputs(t *testing.T) {
	var all [2][]input
	bin := fake(t, "exit 2")
	for i := range all {
		dir := t.TempDir()
		g, err := newGenerator(bin, dir, rand.New(rand.NewPCG(7, 0)))
		require.NoError(t, err)
		for range 60 {
			in, err := g.next()
			require.NoError(t, err)
			for j, a := range in.args {
				in.args[j] = string(bytes.ReplaceAll([]byte(a), []byte(dir), []byte("DIR")))
			}
			all[i] = append(all[i], in)
		}
	}
	assert.Equal(t, all[0], all[1])
}
