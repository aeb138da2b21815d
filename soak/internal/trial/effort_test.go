package trial_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

// follower judges by the recording so far.
type follower struct {
	dir   string
	judge func(*record.Trial) ([]record.Hypothesis, error)
}

func (f follower) Update() ([]record.Hypothesis, error) {
	t, err := record.ReadTrial(f.dir)
	if err != nil {
		return nil, err
	}
	return f.judge(t)
}

// follow has the trial judged by judge.
func follow(o *trial.Options, judge func(*record.Trial) ([]record.Hypothesis, error)) {
	o.Follow = func(dir string) trial.Follower { return follower{dir, judge} }
}

func with(t *testing.T, o *trial.Options, text string) {
	t.Helper()
	p, err := protocol.Parse([]byte(text))
	require.NoError(t, err)
	o.Protocol = p
}

const growing = `
name: growing
trials: [attribution]
looks: 4
settle: 50ms
phases:
  - {name: warm-up, kind: warm-up, files: [{count: 4, size: 1KiB}]}
  - {name: wave, kind: wave, times: 2, files: [{count: 5, size: 1KiB}]}
more:
  - per: [second]
    phases: [{name: more-idle, kind: idle-again, for: 10ms, snapshots: 2}]
  - phases: [{name: more-wave, kind: wave, times: 2, files: [{count: 5, size: 1KiB}]}]
`

// perFile is a leak per file whose limit falls with the files copied.
func perFile(target float64) func(*record.Trial) ([]record.Hypothesis, error) {
	return func(t *record.Trial) ([]record.Hypothesis, error) {
		h := record.Hypothesis{Class: record.Leak, Per: "file", State: record.Excluded, Limit: 1000 / float64(t.Work.Files),
			Target: target}
		return []record.Hypothesis{h, {Class: record.Leak, Per: "second", State: record.Found}}, nil
	}
}

func added(tr *record.Trial) (names []string) {
	for _, p := range tr.Phases {
		if p.Added > 0 {
			names = append(names, fmt.Sprintf("%d %s %d", p.Added, p.Name, p.Files))
		}
	}
	return names
}

func TestATrialAddsWorkUntilItsTargetsAreMet(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, growing)
	follow(&o, perFile(1000.0/40)) // 14 files are too few, 24 too, 44 are enough
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.Equal(t, []string{"1 more-wave-x1-1 5", "1 more-wave-x1-2 5", "2 more-wave-x2-1 10", "2 more-wave-x2-2 10"},
		added(tr))
	assert.Equal(t, &record.Effort{Looks: 3, Blocks: 2, Met: true, CapSeconds: 600}, tr.Effort)
	assert.Equal(t, record.DefaultTargets(), *tr.Targets)
	floors := map[string]bool{}
	for _, s := range tr.Snapshots {
		floors[s.Phase] = floors[s.Phase] || s.State == record.StateFloor
	}
	assert.True(t, floors["more-wave-x2-2"], "what is added has floors as the waves before")
}

func TestWorkIsAddedForADeclaredNumberOfLooksAtMost(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, growing)
	follow(&o, perFile(0.001))
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.Equal(t, 4, tr.Effort.Looks)
	assert.Equal(t, 3, tr.Effort.Blocks)
	assert.False(t, tr.Effort.Met)
	require.Len(t, tr.Effort.Open, 1)
	assert.Equal(t, "file", tr.Effort.Open[0].Per)
}

// More of the same doesn't help a hypothesis whose limit stays where it was.
func TestWorkThatDoesNotHelpIsNotRepeated(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, growing)
	follow(&o, func(*record.Trial) ([]record.Hypothesis, error) {
		return []record.Hypothesis{{Class: record.Metadata, Per: "backlog-item", Limit: 100, Target: 64}}, nil
	})
	tr := run(t, o)
	assert.Equal(t, 1, tr.Effort.Blocks)
	assert.Equal(t, 2, tr.Effort.Looks)
	assert.False(t, tr.Effort.Met)
}

// Growth that has too few samples for a line gathers more of them with the work, whatever its limit does.
func TestWorkIsAddedWhileGrowthGathersSamples(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, growing)
	follow(&o, func(r *record.Trial) ([]record.Hypothesis, error) {
		return []record.Hypothesis{{Class: record.Leak, Per: "file", Limit: 100, Target: 128, Growing: r.Work.Files < 40}},
			nil
	})
	tr := run(t, o)
	assert.Equal(t, 2, tr.Effort.Blocks)
	assert.Equal(t, 3, tr.Effort.Looks)
}

func TestATrialThatCannotBeJudgedSaysWhyAndEnds(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, growing)
	follow(&o, func(*record.Trial) ([]record.Hypothesis, error) { return nil, errors.New("no profile can be read") })
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome)
	assert.Equal(t, "no profile can be read", tr.Effort.Error)
	assert.False(t, tr.Effort.Met)
	assert.Empty(t, added(tr))
}

// A subject of some forty files a second gets the same work as any other: it takes longer and sees no less.
func TestNoWorkIsCutDownForASlowSubject(t *testing.T) {
	o := options(t, testsubject.OK)
	slow := filepath.Join(t.TempDir(), "slow.yaml")
	require.NoError(t, os.WriteFile(slow, []byte("rules: [{ops: [put], latency: 100ms}]\n"), 0o644))
	o.Settings = map[string]string{"workers": "4", "s3_faults": slow}
	with(t, &o, `
name: slow
trials: [attribution]
budget: 5m
settle: 20ms
phases:
  - {name: warm-up, kind: warm-up, files: [{count: 12, size: 1KiB}]}
  - {name: wave, kind: wave, times: 2, files: [{count: 20, size: 1KiB}]}
  - {name: body, kind: hold, point: download-body, transfers: M, offset: 512KiB, size: 1MiB,
     files: [{count: 40, size: 1KiB}]}
`)
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	require.Len(t, tr.Phases, 4)
	for i, want := range []int64{12, 20, 20, 44} {
		assert.Equal(t, want, tr.Phases[i].Files, tr.Phases[i].Name)
		assert.Equal(t, want, tr.Phases[i].Copied, tr.Phases[i].Name)
	}
	require.NotNil(t, tr.Phases[3].Hold)
	assert.Equal(t, 4, tr.Phases[3].Hold.Held, "pauses of a tenth of a second are its pace, and no held state")
	for _, s := range tr.Snapshots {
		if s.State == record.StateBody {
			assert.GreaterOrEqual(t, s.Covariates.FilesDone, int64(12+40+40), "the small files are done by then")
		}
	}
}

func TestAtTheCapATrialEndsAsTimeoutAndAddedWorkDoesNot(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, "name: x\ntrials: [attribution]\nbudget: 1500ms\nphases: [{name: wave, kind: wave, files: [{count: 3, "+
		"size: 1KiB}]}, {kind: idle-again, for: 1m, snapshots: 2}]\n")
	tr := run(t, o)
	assert.Equal(t, record.Timeout, tr.Outcome)
	assert.Contains(t, tr.Reason, "not done after 1.5s")
	assert.True(t, tr.Effort.Capped)

	o = options(t, testsubject.OK)
	with(t, &o, strings.ReplaceAll(growing, "for: 10ms", "for: 1m"))
	o.Protocol.Budget = protocol.Duration(4 * time.Second)
	follow(&o, func(*record.Trial) ([]record.Hypothesis, error) {
		return []record.Hypothesis{{Class: record.Leak, Per: "second", Limit: 5, Target: 1}}, nil
	})
	tr = run(t, o)
	assert.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.True(t, tr.Effort.Capped)
	assert.Len(t, tr.Effort.Open, 1)
}

const sizesOf = `
name: sizes
trials: [attribution]
settle: 50ms
phases:
  - {name: warm-up, kind: warm-up, files: [{count: 8, size: 64KiB}]}
  - {name: reply, kind: sizes, point: upload-reply, transfers: M, then: [M/2], sizes: [1MiB, 4MiB, 8MiB, 16MiB],
     always: 4MiB, few_above: 4MiB}
`

func TestSizesGrowWhileWhatIsHeldGrowsWithThem(t *testing.T) {
	for mode, want := range map[string]map[string]record.LeftOut{
		testsubject.Buffer: {"reply-1MiB": "", "reply-4MiB": "", "reply-8MiB": "", "reply-16MiB": ""},
		testsubject.OK: {"reply-1MiB": "", "reply-4MiB": "", "reply-8MiB": record.LeftOutFlat,
			"reply-16MiB": record.LeftOutFlat},
	} {
		o := options(t, mode)
		with(t, &o, sizesOf)
		tr := run(t, o)
		require.Equal(t, record.OK, tr.Outcome, tr.Reason)
		got := map[string]record.LeftOut{}
		for _, p := range tr.Phases[1:] {
			got[p.Name] = p.LeftOut
			if p.FileSize == 8<<20 {
				assert.Equal(t, 2, p.Hold.Held, "of large files two are held")
			}
		}
		assert.Equal(t, want, got, mode)
	}
}

// No single file is more than half of the limit: that it would kill is known before.
func TestSizesBeyondHalfOfTheLimitAreLeftOutByName(t *testing.T) {
	o := options(t, testsubject.Buffer)
	inCgroup(t, &o, 96<<20, 0)
	with(t, &o, `
name: sizes
trials: [attribution]
settle: 50ms
phases: [{name: reply, kind: sizes, point: upload-reply, transfers: 1, sizes: [4MiB, 64MiB], always: 64MiB}]
`)
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	require.Len(t, tr.Phases, 2)
	assert.Equal(t, record.LeftOutLimit, tr.Phases[1].LeftOut)
	assert.Nil(t, tr.Phases[1].Hold)
}

func TestAWaveThatCopiesNothingIsAFact(t *testing.T) {
	o := options(t, testsubject.Empty)
	with(t, &o, "name: x\ntrials: [attribution]\nphases: [{name: wave, kind: wave, files: [{count: 3, size: 1KiB}]}]\n")
	tr := run(t, o)
	require.Len(t, tr.Phases, 1)
	assert.True(t, tr.Phases[0].CopiedNothing())

	o = options(t, testsubject.OK)
	with(t, &o, "name: x\ntrials: [attribution]\nphases: [{name: wave, kind: wave, files: [{count: 3, size: 1KiB}]}]\n")
	tr = run(t, o)
	assert.False(t, tr.Phases[0].CopiedNothing())
	assert.EqualValues(t, 3, tr.Phases[0].Copied)
	assert.EqualValues(t, 3<<10, tr.Phases[0].CopiedBytes)
}

func TestAHoldThatHoldsFewerThanAskedForSaysSo(t *testing.T) {
	o := options(t, testsubject.OK)
	with(t, &o, "name: x\ntrials: [attribution]\nsettle: 50ms\nphases: [{name: h, kind: hold, point: upload-reply, "+
		"transfers: 2M, size: 1KiB}]\n")
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	require.NotNil(t, tr.Phases[0].Hold)
	assert.Equal(t, record.Hold{Point: "upload-reply", Size: 1 << 10, Asked: 8, Held: 4}, *tr.Phases[0].Hold)
	assert.True(t, tr.Phases[0].Hold.Short())
}

// The test's subject tries nothing twice: the wave fails, which the phase says and the trial doesn't.
func TestErrorsThatAreMadeOnPurposeFailNoTrial(t *testing.T) {
	for _, point := range []string{"upload-reply", "download-header"} {
		o := options(t, testsubject.OK)
		with(t, &o, fmt.Sprintf(`
name: errors
trials: [attribution]
phases:
  - {name: errors, kind: errors, point: %s, fail: 0.9, files: [{count: 30, size: 1KiB}]}
  - {name: wave, kind: wave, files: [{count: 3, size: 1KiB}]}
`, point))
		tr := run(t, o)
		require.Equal(t, record.OK, tr.Outcome, tr.Reason)
		assert.Positive(t, tr.Phases[0].Errors, point)
		assert.NotEmpty(t, tr.Phases[0].Failed, point)
		assert.Empty(t, tr.Phases[1].Failed, "%s: the fakes answer as before", point)
		assert.Zero(t, tr.Phases[1].Errors, point)
		assert.EqualValues(t, 3, tr.Phases[1].Copied, point)
	}
}

func TestACancelledTrialIsNoCappedOne(t *testing.T) {
	o := options(t, testsubject.OK)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.OnPhase = func(record.Phase) { cancel() }
	tr, err := trial.Run(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	assert.False(t, tr.Effort.Capped)
}
