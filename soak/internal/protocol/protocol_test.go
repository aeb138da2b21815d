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
	for _, k := range []string{protocol.Idle, protocol.WarmUp, protocol.Repeat, protocol.Folders, protocol.Free,
		protocol.IdleAgain} {
		assert.True(t, kinds[k], k)
	}
	assert.EqualValues(t, 4096, p.MemProfileRate)
}

const head = "name: x\ntrials: [attribution]\nphases:\n"

func TestWrongProtocolsAreRefusedWithTheReason(t *testing.T) {
	for text, want := range map[string]string{
		"name: x\ntrials: [attribution]\nphases: [{kind: wave, fils: []}]\n":               "[3:23] unknown field \"fils\"",
		"name: x\nphases: [{kind: idle, for: 1s}]\n":                                       "lists no trials",
		"name: x\ntrials: [fast]\nphases: [{kind: idle, for: 1s}]\n":                       `unknown kind of trial "fast"`,
		"name: x\ntrials: [speed]\nphases: [{kind: idle, for: 1s}]\n":                      "no phases for its speed trial",
		head + "  - {kind: sleep}\n":                                                       `unknown kind "sleep"`,
		head + "  - {kind: idle}\n":                                                        "needs `for`",
		head + "  - {kind: wave}\n":                                                        "needs `files`",
		head + "  - {kind: wave, files: [{count: 0, size: 1}]}\n":                          "count above 0",
		head + "  - {kind: hold, point: list-page}\n":                                      "cannot hold at",
		head + "  - {kind: hold, point: upload-reply, transfers: M*2}\n":                   "is not a count",
		head + "  - {kind: hold, point: download-body, size: 1KiB}\n":                      "`offset` must lie inside",
		head + "  - {kind: repeat, of: later}\n":                                           "must name an earlier phase",
		head + "  - {kind: folders, folders: 1, sink_rate: 1KiB}\n":                        "`sink_rate` is for free runs",
		head + "  - {kind: folders}\n":                                                     "needs `folders`",
		head + "  - {kind: idle, for: 1s}\n  - {kind: idle, for: 1s}\n":                    `two phases are named "idle"`,
		head + "  - {name: a/b, kind: idle, for: 1s}\n":                                    "letters, digits",
		head + "  - {kind: sizes, point: upload-reply}\n":                                  "needs `sizes`",
		head + "  - {kind: sizes, point: upload-reply, sizes: [4MiB, 1MiB]}\n":             "ascending",
		head + "  - {kind: errors, files: [{count: 1, size: 1}]}\n":                        "needs `fail`",
		"name: x\nlooks: 99\ntrials: [attribution]\nphases: [{kind: idle, for: 1s}]\n":     "looks must be",
		"name: x\ntargets: {item: -1}\ntrials: [attribution]\nphases: [{kind: folders}]\n": "targets",
		head + "  - {kind: wave, files: [{count: 1, size: 1}], optional: true}\n":          "unknown field",
		"name: x\ntrials: [attribution]\nbudget: 0s\nphases: [{kind: idle, for: 1s}]\n":    "must be above 0",
	} {
		_, err := protocol.Parse([]byte(text))
		require.ErrorIs(t, err, protocol.ErrInvalid, text)
		assert.ErrorContains(t, err, want, text)
	}
}

// A protocol that a program makes has the contract's targets when it names none.
func TestAProtocolWithoutTargetsHasThoseOfTheContract(t *testing.T) {
	p := protocol.Protocol{
		Name: "x", Trials: []record.TrialKind{record.Attribution}, Budget: 1, WaveTimeout: 1, Settle: 1,
		Phases: []protocol.Phase{{Kind: protocol.Free}},
	}
	require.NoError(t, p.Check())
	assert.Equal(t, record.DefaultTargets(), p.Targets)
	assert.Positive(t, p.Looks)
}

func TestLoadReadsFilesAndNamesWhatThereIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(path, []byte(head+"  - {kind: idle, for: 1s}\n"), 0o644))
	p, err := protocol.Load(path)
	require.NoError(t, err)
	assert.Equal(t, "idle", p.Phases[0].Name, "a phase without a name takes its kind")
	_, err = protocol.Load("defalt")
	require.ErrorIs(t, err, protocol.ErrInvalid)
	assert.ErrorContains(t, err, "default, many-files, passive, quick")
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

func TestBlocksFeedTheUnitsThatAreOpen(t *testing.T) {
	for _, name := range []string{"default", "quick"} {
		p, err := protocol.Load(name)
		require.NoError(t, err)
		for unit, kind := range map[string]string{
			"backlog-item": protocol.Hold, "byte-in-flight": protocol.Hold, "second": protocol.IdleAgain,
			"page": protocol.Folders,
			"file": protocol.Wave, "distinct-item": protocol.Wave, "a unit of tomorrow": protocol.Wave, "byte": protocol.Wave,
		} {
			blocks := p.Blocks([]string{unit})
			require.Len(t, blocks, 1, "%s: %s", name, unit)
			assert.Equal(t, kind, blocks[0].Phases[0].Kind, "%s: %s", name, unit)
		}
		assert.Len(t, p.Blocks([]string{"file", "request", "second"}), 2, "%s: each block once", name)
		assert.Empty(t, p.Blocks(nil))
	}
}

// TestAFirstBlockHoldsMoreThanThePhases has a limit come down with the first block already: one that stays counts as
// stuck, and the trial would end without the larger blocks.
func TestAFirstBlockHoldsMoreThanThePhases(t *testing.T) {
	most := func(phases []protocol.Phase) (backlog, after int64) {
		for _, ph := range phases {
			backlog, after = max(backlog, ph.Backlog), max(after, ph.After)
		}
		return backlog, after
	}
	for _, name := range []string{"default", "quick"} {
		p, err := protocol.Load(name)
		require.NoError(t, err)
		backlog, after := most(p.Phases)
		first, _ := most(p.Blocks([]string{"backlog-item"})[0].Phases)
		assert.GreaterOrEqual(t, first, 2*backlog, "%s: files that wait", name)
		_, first = most(p.Blocks([]string{"listed-file"})[0].Phases)
		require.Positive(t, after, name)
		assert.GreaterOrEqual(t, first, 2*after, "%s: files that are done before", name)
	}
}

func TestAGrownPhaseHasMoreWorkAndHoldsNoMore(t *testing.T) {
	ph := protocol.Phase{
		Files: []protocol.Group{{Count: 3, Size: 5}}, Backlog: 7, FolderCount: 2, For: protocol.Duration(time.Second),
		Size: 9, Transfers: "M",
	}
	g := ph.Grown(4)
	assert.Equal(t, []protocol.Group{{Count: 12, Size: 5}}, g.Files)
	assert.EqualValues(t, 28, g.Backlog)
	assert.EqualValues(t, 8, g.FolderCount)
	assert.Equal(t, 4*time.Second, time.Duration(g.For))
	assert.Equal(t, ph.Held(10), g.Held(10))
	assert.EqualValues(t, 3, ph.Files[0].Count, "the phase itself stays")
}

func TestASeriesOfSizesHoldsFewLargeItems(t *testing.T) {
	p, err := protocol.Parse([]byte(head +
		"  - {name: reply, kind: sizes, point: upload-reply, then: [M/2], sizes: [64KiB, 16MiB, 64MiB]}\n"))
	require.NoError(t, err)
	holds := p.Phases[0].Holds()
	require.Len(t, holds, 3)
	assert.Equal(t, "reply-64KiB", holds[0].Name)
	assert.Equal(t, 8, holds[1].Held(8))
	assert.Equal(t, "reply-64MiB", holds[2].Name)
	assert.Equal(t, 2, holds[2].Held(8))
	assert.Equal(t, []protocol.Count{"1"}, holds[2].Then)
	assert.Equal(t, []protocol.Count{"M/2"}, holds[1].Then, "the others keep theirs")
}

// The targets of a verdict stand in the protocol: those of the default are the contract's, and quick declares wider
// ones.
func TestQuickMeansWiderTargetsAndNotOtherStates(t *testing.T) {
	states := func(p *protocol.Protocol) map[record.State]bool {
		out := map[record.State]bool{}
		for _, ph := range p.Phases {
			if ph.Kind == protocol.Hold || ph.Kind == protocol.Sizes {
				out[ph.State()] = true
			}
		}
		return out
	}
	full, err := protocol.Load("default")
	require.NoError(t, err)
	quick, err := protocol.Load("quick")
	require.NoError(t, err)
	assert.Equal(t, record.DefaultTargets(), full.Targets)
	assert.Greater(t, quick.Targets.Item, full.Targets.Item)
	assert.GreaterOrEqual(t, quick.Targets.Second, full.Targets.Second)
	assert.Equal(t, states(full), states(quick))
	assert.Equal(t, len(full.More), len(quick.More))
	assert.Equal(t, full.Budget, quick.Budget)
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
