package trial_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/leftover"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/sampler"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
	"github.com/memsoak/memsoak/soak/internal/trial"
)

var programs fakes.Options

func TestMain(m *testing.M) {
	testsubject.Main()
	dir, err := os.MkdirTemp("", "memsoak-test-")
	if err == nil {
		programs.Fakedrive, programs.Soak, err = testsubject.Build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// small is a protocol with one phase of each kind that matters, in little time.
const small = `
name: small
trials: [attribution]
memprofilerate: 4096
budget: 30s
wave_timeout: 20s
settle: 100ms
phases:
  - {name: idle, kind: idle, for: 20ms}
  - {name: warm-up, kind: warm-up, files: [{count: 2, size: 64KiB}, {count: 20, size: 1KiB}]}
  - {name: wave, kind: wave, times: 3, files: [{count: 20, size: 4KiB}]}
  - {name: reply, kind: hold, point: upload-reply, transfers: M, then: [M/2], size: 1MiB}
  - {name: header, kind: hold, point: download-header, transfers: M, backlog: 60, size: 1KiB}
  - {name: body, kind: hold, point: download-body, transfers: M, offset: 512KiB, size: 1MiB}
  - {name: folders, kind: folders, folders: 7}
  - {name: repeat, kind: repeat, of: wave}
  - {name: free, kind: free}
  - {name: idle-again, kind: idle-again, for: 40ms, snapshots: 2}
speed:
  - {name: free, kind: free}
`

func options(t *testing.T, mode string) trial.Options {
	t.Helper()
	p, err := protocol.Parse([]byte(small))
	require.NoError(t, err)
	spec := testsubject.Spec(mode)
	require.NoError(t, spec.Check())
	return trial.Options{
		Dir: filepath.Join(t.TempDir(), "trial-1"), Kind: record.Attribution, Cell: record.Cell{"workers": "4"},
		Settings: map[string]string{"workers": "4"}, Index: 1, Seed: 1, Subject: spec, Protocol: p, Fakes: programs,
		Corpus: trial.Corpus{Name: "free", Spec: "files: 40\nsize: 20000\nfolders: 3\n"}, NoCgroup: "a test without one",
		Temp: t.TempDir(), Every: 50 * time.Millisecond,
	}
}

// inCgroup gives the trial a cgroup, or skips the test where none can be made.
func inCgroup(t *testing.T, o *trial.Options, limit, node int64) {
	t.Helper()
	parent, err := cgroup.Open(fmt.Sprintf("test-%d-%d", os.Getpid(), time.Now().UnixNano()), node, func(string) {})
	if err != nil {
		t.Skipf("SKIPPED, this machine lets us make no cgroup: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, parent.Close()) })
	o.Parent, o.Limit, o.NodeSize, o.NoCgroup = parent, limit, node, ""
}

func run(t *testing.T, o trial.Options) *record.Trial {
	t.Helper()
	tr, err := trial.Run(t.Context(), o)
	require.NoError(t, err)
	kept, err := record.ReadTrial(o.Dir)
	require.NoError(t, err)
	assert.Equal(t, tr.Outcome, kept.Outcome)
	left, err := os.ReadDir(o.Temp)
	require.NoError(t, err)
	assert.Empty(t, left, "temporary files are left")
	return tr
}

func TestAnExperimentBringsTheSubjectIntoEachState(t *testing.T) {
	tr := run(t, options(t, testsubject.OK))
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.Empty(t, tr.Warnings)

	at := map[string][]record.Snapshot{}
	for _, s := range tr.Snapshots {
		if s.State == record.StateFree || s.State == record.StateHigh {
			continue // light ones, taken on the run
		}
		require.NotNil(t, s.Covariates, s.Phase)
		require.NotNil(t, s.Runtime, s.Phase)
		require.NotNil(t, s.Process, s.Phase)
		at[s.Phase] = append(at[s.Phase], s)
	}
	t.Run("held at the upload's reply, then half of them", func(t *testing.T) {
		require.Len(t, at["reply"], 3, "and a floor")
		all, half := at["reply"][0].Covariates, at["reply"][1].Covariates
		assert.Equal(t, record.StateReply, at["reply"][0].State)
		assert.EqualValues(t, 4, all.InFlight)
		assert.EqualValues(t, 4, all.WithBody)
		assert.EqualValues(t, 4<<20, all.BytesInFlight)
		assert.EqualValues(t, 2, half.InFlight)
		assert.EqualValues(t, 2<<20, half.BytesInFlight)
	})
	t.Run("held at the header with a backlog", func(t *testing.T) {
		c := at["header"][0].Covariates
		assert.EqualValues(t, 4, c.AtHeader)
		assert.Zero(t, c.BytesInFlight, "no body has begun")
		assert.EqualValues(t, 60, c.Backlog)
	})
	t.Run("held in the middle of the body", func(t *testing.T) {
		c := at["body"][0].Covariates
		assert.EqualValues(t, 4, c.InFlight)
		assert.EqualValues(t, 4<<20, c.BytesInFlight)
		assert.EqualValues(t, 2<<20, c.BytesSent)
	})
	t.Run("floors", func(t *testing.T) {
		for _, name := range []string{"warm-up", "wave-1", "wave-2", "wave-3", "reply", "header", "body", "folders", "repeat",
			"free"} {
			require.NotEmpty(t, at[name], name)
			s := at[name][len(at[name])-1]
			assert.Equal(t, record.StateFloor, s.State, name)
			assert.Equal(t, 2, s.ForcedGC, name)
			assert.Zero(t, s.Covariates.InFlight, name)
			assert.Zero(t, s.Covariates.ConnsOpen, "%s: idle connections are closed at a floor", name)
			assert.Positive(t, s.Covariates.ConnsBeforeClose, "%s: and were counted before", name)
		}
		w1, w2 := at["wave-1"][0].Covariates, at["wave-2"][0].Covariates
		assert.EqualValues(t, 20, w2.FilesDone-w1.FilesDone, "waves are equal")
		assert.EqualValues(t, 20*4096, w2.BytesDone-w1.BytesDone)
	})
	t.Run("repeated work is not distinct", func(t *testing.T) {
		before, after := at["folders"][0].Covariates, at["repeat"][0].Covariates
		assert.EqualValues(t, 20, after.FilesDone-before.FilesDone)
		assert.Equal(t, before.Distinct, after.Distinct)
	})
	t.Run("folders", func(t *testing.T) {
		before, after := at["body"][1].Covariates, at["folders"][0].Covariates
		assert.EqualValues(t, 7, after.Folders-before.Folders)
	})
	t.Run("profiles", func(t *testing.T) {
		for _, s := range tr.Snapshots {
			require.NotEmpty(t, s.Heap, s.Phase)
		}
	})
	assert.Len(t, at["idle-again"], 2)
	assert.Positive(t, tr.Work.Files)
	assert.Positive(t, tr.Work.CPU)
}

// What the kernel says at a floor is read with the floor's own snapshot, after the collections, and not taken from the
// next sample: without any sampling it is there all the same, and no floor is older than its collections.
func TestTheKernelsAccountAtAFloorIsReadAtTheFloor(t *testing.T) {
	o := options(t, testsubject.OK)
	o.Every = -1
	inCgroup(t, &o, 0, 0)
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	require.NoError(t, record.ReadSamples(o.Dir, func(record.Sample) bool {
		return assert.Fail(t, "nothing is sampled between phases")
	}))
	worked, next := map[string]time.Time{}, map[string]time.Time{}
	for i, p := range tr.Phases {
		worked[p.Name], next[p.Name] = p.End, tr.Ended
		if p.Kind == protocol.Free { // the only one that has its floor inside
			worked[p.Name] = p.Start
		}
		if i+1 < len(tr.Phases) {
			next[p.Name] = tr.Phases[i+1].Start
		}
	}
	floors := 0
	for _, s := range tr.Snapshots {
		if s.State != record.StateFloor || s.Phase == "idle-again" { // whose floors are inside of it
			continue
		}
		floors++
		require.NotNil(t, s.Process, s.Phase)
		require.NotNil(t, s.Cgroup, s.Phase)
		assert.Positive(t, s.Process.RSS, s.Phase)
		assert.Positive(t, s.Cgroup.Usage, s.Phase)
		assert.WithinRange(t, s.Time, worked[s.Phase], next[s.Phase], "%s: between its work and the next phase", s.Phase)
		p, err := profile.ParseData(must(os.ReadFile(filepath.Join(o.Dir, s.Heap))))
		require.NoError(t, err)
		assert.False(t, s.Time.Before(time.Unix(0, p.TimeNanos)), "%s: after the collections that its profile forced",
			s.Phase)
	}
	assert.Equal(t, 10, floors, "warm-up, three waves, three holds, folders, repeat and free")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The system's clock is stepped by an hour as soon as the trial runs: it is then an hour ahead of the trial's own
// clock, which continues. No recorded time may be the system's.
func TestAStepOfTheSystemsClockDoesNotReachTheRecord(t *testing.T) {
	o := options(t, testsubject.OK)
	begun := time.Now()
	o.Clock = sampler.ClockAt(begun.Add(-time.Hour), func() time.Duration { return time.Since(begun) })
	var mu sync.Mutex
	var times []time.Time
	note := func(more ...time.Time) {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, more...)
	}
	o.OnSample = func(s record.Sample) { note(s.Time) }
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	note(tr.Started, tr.Ended)
	for _, p := range tr.Phases {
		note(p.Start, p.End)
	}
	for i, s := range tr.Snapshots {
		note(s.Time)
		if i > 0 {
			assert.False(t, s.Time.Before(tr.Snapshots[i-1].Time), "snapshots are in order")
		}
	}
	require.NotEmpty(t, tr.Phases)
	for _, at := range times {
		assert.WithinRange(t, at, begun.Add(-time.Hour), time.Now().Add(-time.Hour+time.Second))
	}
}

func TestProfilesHaveTheSamplingRateThatWasSetFromOutside(t *testing.T) {
	o := options(t, testsubject.OK)
	tr := run(t, o)
	require.EqualValues(t, 4096, tr.SampleRate)
	require.GreaterOrEqual(t, tr.PageSize, int64(4096))
	f, err := os.Open(filepath.Join(o.Dir, tr.Snapshots[len(tr.Snapshots)-1].Heap))
	require.NoError(t, err)
	defer f.Close()
	p, err := profile.Parse(f)
	require.NoError(t, err)
	assert.EqualValues(t, 4096, p.Period)
}

// A hold that looks before the subject has begun sees nothing move, as in a state that is reached.
func TestAHoldWaitsForASubjectThatBeginsLate(t *testing.T) {
	o := options(t, testsubject.Late)
	o.Protocol.Settle = protocol.Duration(20 * time.Millisecond)
	o.Protocol.Phases = slices.DeleteFunc(o.Protocol.Phases, func(p protocol.Phase) bool { return p.Name != "header" })
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	asked := slices.DeleteFunc(tr.Snapshots, func(s record.Snapshot) bool { return s.State == record.StateHigh })
	require.Len(t, asked, 2, "the hold and a floor")
	assert.Positive(t, asked[0].Covariates.AtHeader)
	require.NotNil(t, asked[0].Hold)
	assert.Equal(t, record.Hold{Point: "download-header", Size: 1 << 10, Asked: 4, Held: 4}, *asked[0].Hold)
}

func TestASubjectWithoutAWorkersSettingHasItsTransfersCounted(t *testing.T) {
	o := options(t, testsubject.OK)
	o.Subject.Concurrency = "nothing"
	tr := run(t, o)
	var held []int64
	for _, s := range tr.Snapshots {
		if s.State == record.StateReply {
			held = append(held, s.Covariates.InFlight)
		}
	}
	assert.Equal(t, []int64{4, 2}, held, "M is found by a hold")
}

func TestAnOOMKillIsAnOutcomeWithItsLastSamplesAndAProfile(t *testing.T) {
	o := options(t, testsubject.Buffer)
	o.Kind = record.Speed
	o.Corpus.Spec = "files: 6\nsize: 32MiB\n"
	slow := filepath.Join(t.TempDir(), "slow.yaml") // so that the memory fills within a second, not within one look at it
	require.NoError(t, os.WriteFile(slow, []byte("bandwidth: {stream: 16MiB}\n"), 0o644))
	o.Settings = map[string]string{"workers": "4", "gogc": "50", "drive_faults": slow}
	inCgroup(t, &o, 0, 0)
	free := run(t, o)
	require.Equal(t, record.OK, free.Outcome, free.Reason)
	require.Greater(t, free.Peak.Cgroup, int64(100<<20), "the subject keeps whole files")
	assert.Greater(t, free.Peak.Charged, free.Peak.Cgroup/2)
	assert.LessOrEqual(t, free.Peak.Charged, free.Peak.Cgroup, "the kernel's own peak is an upper bound")

	o.Limit = free.Peak.Cgroup / 2
	o.Dir = filepath.Join(t.TempDir(), "trial-1")
	tr := run(t, o)
	require.Equal(t, record.OOMKilled, tr.Outcome, tr.Reason)
	require.NotNil(t, tr.OOM)
	assert.Equal(t, o.Limit, tr.OOM.Limit)
	assert.GreaterOrEqual(t, tr.Peak.Bytes(), o.Limit, "a kill says that nothing could be taken back")
	assert.Positive(t, tr.OOM.Kills)
	assert.Equal(t, "killed", tr.Exit.Signal)
	require.NotEmpty(t, tr.Snapshots, "a profile from before the kill is kept")
	last := tr.Snapshots[len(tr.Snapshots)-1]
	assert.FileExists(t, filepath.Join(o.Dir, last.Heap))
	near := slices.DeleteFunc(slices.Clone(tr.Snapshots),
		func(s record.Snapshot) bool { return s.State == record.StateFree })
	require.NotEmpty(t, near, "at new heights and near the limit")
	// The kill may come between the last heap and its goroutines.
	whole := slices.DeleteFunc(near, func(s record.Snapshot) bool { return s.Goroutine == "" })
	require.NotEmpty(t, whole, "with the goroutines")
	assert.FileExists(t, filepath.Join(o.Dir, whole[len(whole)-1].Goroutine))
	samples := 0
	require.NoError(t, record.ReadSamples(o.Dir, func(s record.Sample) bool {
		if s.Cgroup != nil {
			samples++
			assert.LessOrEqual(t, s.Cgroup.Usage, o.Limit+1<<20) // each processor charges some pages ahead
		}
		return true
	}))
	assert.Positive(t, samples)
}

func TestTheNodesLimitIsToldFromTheSubjectsOwn(t *testing.T) {
	o := options(t, testsubject.Buffer)
	o.Kind = record.Speed
	o.Corpus.Spec = "files: 8\nsize: 64MiB\n"
	inCgroup(t, &o, 1<<30, 96<<20)
	tr := run(t, o)
	require.Equal(t, record.OOMKilled, tr.Outcome, tr.Reason)
	assert.True(t, tr.OOM.Node)
	assert.EqualValues(t, 96<<20, tr.OOM.Limit)
}

func TestSubjectsThatMisbehave(t *testing.T) {
	for _, c := range []struct {
		mode    string
		outcome record.Outcome
		reason  string
		check   func(*testing.T, *record.Trial, trial.Options)
	}{
		{testsubject.Crash, record.Crashed, "panic: a bug in the third wave", func(t *testing.T, tr *record.Trial,
			_ trial.Options) {
			assert.Equal(t, 2, tr.Exit.Code)
			assert.NotEmpty(t, tr.Snapshots, "what came before is kept")
		}},
		{testsubject.Hang, record.Timeout, "was not done and nothing moved", nil},
		{testsubject.Refuse, record.WaveFailed, "3 waves in a row failed: 500 Internal Server Error: out of order", nil},
		{testsubject.NoTerm, record.OK, "", nil},
		{testsubject.Flood, record.OK, "", func(t *testing.T, _ *record.Trial, o trial.Options) {
			st, err := os.Stat(filepath.Join(o.Dir, record.LogFile))
			require.NoError(t, err)
			assert.Less(t, st.Size(), int64(3<<20), "the log is bounded")
		}},
		{testsubject.NoPprof, record.OK, "", func(t *testing.T, tr *record.Trial, _ trial.Options) {
			assert.NotEmpty(t, tr.Snapshots[0].Heap)
			assert.Empty(t, tr.Snapshots[len(tr.Snapshots)-1].Heap)
			assert.Contains(t, strings.Join(tr.Warnings, "\n"), "404")
		}},
		{testsubject.Garbage, record.OK, "", func(t *testing.T, tr *record.Trial, _ trial.Options) {
			for _, s := range tr.Snapshots {
				assert.Empty(t, s.Heap, "garbage is not kept as a profile")
				assert.Zero(t, s.ForcedGC)
			}
		}},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Parallel()
			o := options(t, c.mode)
			if c.mode == testsubject.Hang {
				o.Protocol.WaveTimeout = protocol.Duration(time.Second)
			}
			tr := run(t, o)
			assert.Equal(t, c.outcome, tr.Outcome, tr.Reason)
			assert.Contains(t, tr.Reason, c.reason)
			if c.check != nil {
				c.check(t, tr, o)
			}
		})
	}
}

func TestASubjectThatDiesOrNeverAnswersIsOneClearLine(t *testing.T) {
	o := options(t, testsubject.DiesEarly)
	tr, err := trial.Run(t.Context(), o)
	require.Error(t, err)
	assert.Equal(t, record.Crashed, tr.Outcome)
	assert.Contains(t, tr.Reason, "no configuration: cannot start")
	assert.NotContains(t, err.Error(), "\n")
}

func TestAForkedChildDoesNotOutliveTheTrial(t *testing.T) {
	o := options(t, testsubject.Fork)
	o.Kind = record.Speed
	inCgroup(t, &o, 1<<30, 0)
	mark := fmt.Sprintf("test-fork-%d", os.Getpid())
	o.Env = []string{leftover.Variable + "=" + mark}
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.Empty(t, leftover.Marked(mark))
}

func TestACancelledTrialEndsItsSubjectAndKeepsWhatItHas(t *testing.T) {
	o := options(t, testsubject.OK)
	mark := fmt.Sprintf("test-cancel-%d", os.Getpid())
	o.Env = []string{leftover.Variable + "=" + mark}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.OnPhase = func(p record.Phase) {
		if p.Name == "reply" {
			cancel() // while transfers are held
		}
	}
	tr, err := trial.Run(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, tr.Outcome, "cut short")
	assert.NotEmpty(t, tr.Snapshots)
	assert.Empty(t, leftover.Marked(mark))
	kept, err := record.ReadTrial(o.Dir)
	require.NoError(t, err)
	assert.Equal(t, len(tr.Snapshots), len(kept.Snapshots))
}

// slowFree copies the corpus to a sink that takes next to nothing, and then a wave as ever.
const slowFree = `
name: slow
trials: [attribution]
memprofilerate: 4096
wave_timeout: 30s
phases:
  - {name: wave, kind: wave, times: 2, files: [{count: 3, size: 1KiB}]}
  - {name: free, kind: free, at_most: 300ms, sink_rate: 1}
  - {name: after, kind: wave, files: [{count: 3, size: 4KiB}]}
`

func TestASinkIsSlowDuringOnePhaseOnly(t *testing.T) {
	o := options(t, testsubject.OK)
	var err error
	o.Protocol, err = protocol.Parse([]byte(slowFree))
	require.NoError(t, err)
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	require.Len(t, tr.Phases, 4)
	assert.True(t, tr.Phases[2].CutOff)
	assert.Zero(t, tr.Phases[2].Copied)
	assert.False(t, tr.Phases[2].CopiedNothing(), "it was given no time to")
	assert.Empty(t, tr.Phases[3].Failed, "at a byte a second it would not have ended")
	for _, s := range tr.Snapshots {
		if s.Phase == "free" && s.State == record.StateFloor {
			assert.EqualValues(t, 6, s.Covariates.FilesDone, "those of the waves: no file of 20,000 bytes was taken")
		}
	}
}

func TestASubjectAtItsLimitThatDoesNotAnswerHangs(t *testing.T) {
	for mode, want := range map[string]record.Outcome{testsubject.NoPprof: record.Timeout, testsubject.OK: record.OK} {
		o := options(t, mode)
		inCgroup(t, &o, 1<<30, 0)
		o.NodeSize = 1 << 20 // in name only: any process is beyond it
		var err error
		o.Protocol, err = protocol.Parse([]byte(slowFree))
		require.NoError(t, err)
		tr := run(t, o)
		require.Equal(t, want, tr.Outcome, tr.Reason)
		if want == record.Timeout {
			assert.Contains(t, tr.Reason, "hung at its limit of 1.0 MiB")
		}
	}
}

func TestAOneShotCommandIsSampledUntilItEnds(t *testing.T) {
	o := options(t, testsubject.Once)
	o.Kind = record.Passive
	o.Corpus.Spec = "files: 30\nsize: 4MiB\n"
	o.Every = 10 * time.Millisecond
	tr := run(t, o)
	require.Equal(t, record.OK, tr.Outcome, tr.Reason)
	assert.EqualValues(t, 30, tr.Work.Files)
	assert.Equal(t, 0, tr.Exit.Code)
}
