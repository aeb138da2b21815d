package soak_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// TestHeldTrialsAreKilledWhereTheyDoNotFit holds files of a subject that keeps them whole, far below a limit and above
// one in which half of them would fit.
func TestHeldTrialsAreKilledWhereTheyDoNotFit(t *testing.T) {
	dir := files(t, testsubject.Buffer)
	c := tinyConfig(dir)
	c.Trials = []record.TrialKind{record.Speed}
	first := runner(t, c, soak.Shard{}, filepath.Join(dir, "out"))
	_, err := first.Run(t.Context())
	require.NoError(t, err)
	run, err := record.ReadRun(first.Dir)
	require.NoError(t, err)

	for limit, want := range map[int64]record.Outcome{1 << 30: record.OK, 192 << 20: record.OOMKilled} {
		h := soak.Held{Workers: 16, FileSize: 16 << 20, Limit: limit, GOMEMLIMIT: limit / 2}
		p, err := soak.HeldPlan(run, h)
		require.NoError(t, err)
		require.Len(t, p.Trials, 1)
		assert.Equal(t, "16", p.Trials[0].Settings["workers"])
		assert.Equal(t, strconv.FormatInt(limit>>21, 10)+"MiB", p.Trials[0].Settings["gomemlimit"])
		r := &soak.Runner{Plan: p, Dir: filepath.Join(dir, strconv.FormatInt(limit, 10)), Fakedrive: fakedrivePath,
			Soak: soakPath}
		got, err := soak.RunHeld(t.Context(), r, h)
		if errors.Is(err, soak.ErrNoCgroup) {
			t.Skip("SKIPPED, no memory limit can be set here")
		}
		require.NoError(t, err)
		assert.Equal(t, want, got.Outcome)
		if want == record.OK {
			assert.GreaterOrEqual(t, got.Live, int64(16*16<<20))
			assert.GreaterOrEqual(t, got.Peak, got.Live)
		}
	}
}

func TestAHeldTrialSetsTheCountOfTransfersWhereThereIsASetting(t *testing.T) {
	proto, err := protocol.Load("quick")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change        func(*subject.Spec)
		setting, want string
		says          string
	}{
		"workers": {func(*subject.Spec) {}, "workers", "16", ""},
		"another name": {func(s *subject.Spec) { s.Concurrency, s.Env = "streams", map[string]string{"N": "{{.streams}}"} },
			"streams", "16", ""},
		"none":    {func(s *subject.Spec) { s.Concurrency = "nothing" }, "nothing", "", ""},
		"service": {func(s *subject.Spec) { s.Load = &load.Spec{} }, "", "", "is no service that copies them"},
		"command": {func(s *subject.Spec) { s.Wave = subject.Wave{Exit: true} }, "", "", "is no service that copies them"},
	} {
		s := testsubject.Spec(testsubject.Buffer)
		c.change(s)
		text, err := json.Marshal(map[string]any{"subject": s, "protocol": proto})
		require.NoError(t, err)
		run := &record.Run{Subject: "x", Corpus: "tiny", Repeats: 1, Seed: 1}
		require.NoError(t, json.Unmarshal(text, &run.Config))
		p, err := soak.HeldPlan(run, soak.Held{Workers: 16, FileSize: 1 << 20, Limit: 1 << 30})
		if c.says != "" {
			require.ErrorIs(t, err, soak.ErrConfig, name)
			assert.ErrorContains(t, err, c.says, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, c.want, p.Trials[0].Settings[c.setting], name)
	}
}
