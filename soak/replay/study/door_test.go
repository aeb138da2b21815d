package study

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
)

// config is the work as soak run reads it.
func config(w work) soak.Config {
	c := soak.DefaultConfig()
	c.Subject, c.Corpus, c.Protocol, c.Repeats, c.Seed = w.Subject, w.Corpus, w.Protocol, w.Repeats, w.Seed
	c.Limit, c.Node, c.Set = units.Bytes(w.Limit), units.Bytes(w.Node), w.Set
	return c
}

// standIn is a bench whose soak is a script: run says what `soak run` does, after its directory was made. Each call is
// a line of calls.
func standIn(t *testing.T, run string) (b *Bench, dir string, calls func() string) {
	t.Helper()
	out := t.TempDir()
	script := filepath.Join(out, "soak")
	text := "#!/bin/sh\necho $* >>" + filepath.Join(out, "calls") + "\n[ $1 = run ] || exit 0\nmkdir -p $4\n" + run + "\n"
	require.NoError(t, os.WriteFile(script, []byte(text), 0o755))
	return &Bench{Out: out, Soak: script}, filepath.Join(out, "run"), func() string {
		text, err := os.ReadFile(filepath.Join(out, "calls"))
		require.NoError(t, err)
		return string(text)
	}
}

const (
	oneTrial = `echo '{"event":"warned","text":"no limit"}{"event":"trial-ended"}{"event":"run-ended","done":1,"of":1}'; `
	broken   = `echo '{"event":"run-ended","done":0,"of":1}'; echo first >&2; echo 'soak: no space' >&2; exit 1`
)

func TestARunIsJudgedByItsOwnSizes(t *testing.T) {
	b, dir, calls := standIn(t, oneTrial)
	var warned []string
	b.Warn = func(text string) { warned = append(warned, text) }
	kept, err := b.record(t.Context(), work{Subject: "s", Limit: 5, Axes: map[string][]string{"workers": {"2", "4"}}}, dir,
		profiles.Options{PlannedFiles: 7, LargestFile: 9})
	require.NoError(t, err)
	assert.False(t, kept)
	assert.Equal(t, []string{"no limit"}, warned)
	assert.Contains(t, calls(), "--limit 5")
	assert.Contains(t, calls(), "--axis workers=2,4")
	assert.Contains(t, calls(), "diagnose "+dir+" --files 7 --largest-file 9")
}

// TestAResumedRunIsKept only if nothing was missing of it and it was judged by the same sizes.
func TestAResumedRunIsKept(t *testing.T) {
	b, dir, _ := standIn(t, `[ -e $4/run.json ] && exit 0; >$4/run.json; `+oneTrial)
	b.Resume = true
	for i, want := range []struct {
		files int64
		kept  bool
	}{{7, false}, {7, true}, {8, false}, {8, true}} {
		kept, err := b.record(t.Context(), work{}, dir, profiles.Options{PlannedFiles: want.files, LargestFile: 9})
		require.NoError(t, err)
		assert.Equal(t, want.kept, kept, "run %d", i+1)
	}
}

func TestARecordingWithOtherSettingsIsReplaced(t *testing.T) {
	b, dir, _ := standIn(t, `[ -e $4/run.json ] && exit 2; `+oneTrial)
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, record.RunFile), nil, 0o644))
	b.Resume = true
	ran, err := b.run(t.Context(), work{}, dir)
	require.NoError(t, err)
	assert.Equal(t, 1, ran)
	assert.NoFileExists(t, filepath.Join(dir, record.RunFile))
}

func TestOutcomesAreNoErrors(t *testing.T) {
	b, dir, _ := standIn(t, oneTrial+"exit 1")
	ran, err := b.run(t.Context(), work{}, dir)
	assert.NoError(t, err, "all trials were recorded: no subject got ready")
	assert.Equal(t, 1, ran)

	b, dir, _ = standIn(t, broken)
	_, err = b.run(t.Context(), work{}, dir)
	assert.ErrorContains(t, err, "soak run: exit status 1: soak: no space")

	b, dir, _ = standIn(t, "exit 2")
	_, err = b.run(t.Context(), work{}, dir)
	assert.ErrorIs(t, err, ErrWork)
}
