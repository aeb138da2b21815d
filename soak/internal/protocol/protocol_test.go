package protocol_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

func TestBuiltinProtocolsAreValid(t *testing.T) {
	assert.Subset(t, protocol.Names(), []string{"default", "quick", "passive"})
	for _, name := range protocol.Names() {
		p, err := protocol.Load(name)
		require.NoError(t, err, name)
		assert.Equal(t, name, p.Name)
	}
}

func TestTheDefaultHasTheStatesThatCarriedInformation(t *testing.T) {
	p, err := protocol.Load("default")
	require.NoError(t, err)
	waves, holds, kinds := 0, map[record.State]int{}, map[string]bool{}
	for _, ph := range p.Phases {
		kinds[ph.Kind] = true
		if ph.Kind == protocol.Wave {
			waves += ph.Times
		}
		if ph.Kind == protocol.Hold {
			holds[ph.State()]++
		}
	}
	assert.GreaterOrEqual(t, waves, 8, "leaks are judged from eight floors on")
	assert.GreaterOrEqual(t, holds[record.StateHeader], 3, "the backlog varies")
	assert.GreaterOrEqual(t, holds[record.StateReply], 4)
	assert.GreaterOrEqual(t, holds[record.StateBody], 1)
	for _, k := range []string{protocol.Idle, protocol.WarmUp, protocol.Repeat, protocol.Folders, protocol.Free, protocol.IdleAgain} {
		assert.True(t, kinds[k], k)
	}
	assert.EqualValues(t, 4096, p.MemProfileRate)
}

const head = "name: x\ntrials: [attribution]\nphases:\n"

func TestWrongProtocolsAreRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\ntrials: [attribution]\nphases: [{kind: wave, fils: []}]\n":            "[3:23] unknown field \"fils\"",
		"name: x\nphases: [{kind: idle, for: 1s}]\n":                                    "lists no trials",
		"name: x\ntrials: [fast]\nphases: [{kind: idle, for: 1s}]\n":                    `unknown kind of trial "fast"`,
		"name: x\ntrials: [speed]\nphases: [{kind: idle, for: 1s}]\n":                   "no phases for its speed trial",
		head + "  - {kind: sleep}\n":                                                    `unknown kind "sleep"`,
		head + "  - {kind: idle}\n":                                                     "needs `for`",
		head + "  - {kind: wave}\n":                                                     "needs `files`",
		head + "  - {kind: wave, files: [{count: 0, size: 1}]}\n":                       "count above 0",
		head + "  - {kind: hold, point: list-page}\n":                                   "cannot hold at",
		head + "  - {kind: hold, point: upload-reply, transfers: M*2}\n":                "is not a count",
		head + "  - {kind: hold, point: download-body, size: 1KiB}\n":                   "`offset` must lie inside",
		head + "  - {kind: repeat, of: later}\n":                                        "must name an earlier phase",
		head + "  - {kind: folders, folders: 1, sink_rate: 1KiB}\n":                     "`sink_rate` is for free runs",
		head + "  - {kind: folders}\n":                                                  "needs `folders`",
		head + "  - {kind: idle, for: 1s}\n  - {kind: idle, for: 1s}\n":                 `two phases are named "idle"`,
		head + "  - {name: a/b, kind: idle, for: 1s}\n":                                 "letters, digits",
		"name: x\ntrials: [attribution]\nbudget: 0s\nphases: [{kind: idle, for: 1s}]\n": "must be above 0",
	} {
		_, err := protocol.Parse([]byte(text))
		require.ErrorIs(t, err, protocol.ErrInvalid, text)
		assert.ErrorContains(t, err, want, text)
	}
}

func TestLoadReadsFilesAndNamesWhatThereIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(path, []byte(head+"  - {kind: idle, for: 1s}\n"), 0o644))
	p, err := protocol.Load(path)
	require.NoError(t, err)
	assert.Equal(t, "idle", p.Phases[0].Name, "a phase without a name takes its kind")
	_, err = protocol.Load("defalt")
	require.ErrorIs(t, err, protocol.ErrInvalid)
	assert.ErrorContains(t, err, "default, passive, quick")
}

func TestCounts(t *testing.T) {
	for c, want := range map[protocol.Count]int{"M": 9, "M/2": 5, "2M": 18, "3": 3, "M/100": 1} {
		assert.Equal(t, want, c.Of(9), c)
	}
}

func TestAHoldKeepsToItsBytes(t *testing.T) {
	ph := protocol.Phase{Kind: protocol.Hold, Transfers: "M", Size: 16 << 20, MaxBytes: 64 << 20}
	assert.Equal(t, 4, ph.Held(50))
	assert.Equal(t, 2, ph.Held(2))
}

func TestScaleFitsWorkIntoTheTimeLeft(t *testing.T) {
	phases := []protocol.Phase{{Kind: protocol.Wave, Times: 10, Files: []protocol.Group{{Count: 100, Size: 0}}}}
	pace := protocol.Pace{Files: 100, Bytes: 1 << 30}
	assert.Equal(t, 1.0, protocol.Scale(phases, 8, pace, 11*time.Second))
	assert.InDelta(t, 0.5, protocol.Scale(phases, 8, pace, 5*time.Second), 1e-9)
	assert.Equal(t, 0.1, protocol.Scale(phases, 8, pace, 0), "a tenth is always left to tell a leak by")
	pace.Snapshot = 100 * time.Millisecond
	assert.InDelta(t, 0.4, protocol.Scale(phases, 8, pace, 5*time.Second), 1e-9, "snapshots take their time, too")
}

func TestTheSequentialRuleAsksForWavesOnlyInDoubt(t *testing.T) {
	assert.False(t, protocol.Undecided([]int64{1, 2, 3, 4, 5, 6, 7, 8}), "a plain trend")
	assert.False(t, protocol.Undecided([]int64{5, 3, 6, 4, 5, 4, 6, 4}), "plainly none")
	assert.True(t, protocol.Undecided([]int64{1, 3, 2, 5, 4, 3, 6, 2}), "in between")
	assert.False(t, protocol.Undecided(nil))
}

func TestEstimatesKeepToTheBudget(t *testing.T) {
	p, err := protocol.Load("default")
	require.NoError(t, err)
	for _, m := range []int{1, 10, 500} {
		assert.LessOrEqual(t, p.Estimate(record.Attribution, m), time.Duration(p.Budget))
		assert.Positive(t, p.Estimate(record.Speed, m))
	}
	assert.True(t, strings.HasPrefix(p.Name, "default"))
}
