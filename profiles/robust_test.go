package profiles

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/internal/words"
	"github.com/memsoak/memsoak/profiles/record"
)

// leaky is a subject with a leak, a buffer and a backlog: something for each part of the diagnosis.
func leaky() *subject {
	s := newSubject(faults[2].make)
	for _, i := range []int{7, 10} {
		s.sources = append(s.sources, faults[i].make().sources...)
	}
	return s
}

func diagnoseLab(t *testing.T, l *lab) *record.Verdict {
	t.Helper()
	s := l.series()
	v := diagnose(s, Options{})
	words.Speak(s.Trial.Item, v)
	return v
}

func TestDiagnosisDoesNotDependOnTheOrderOfSamples(t *testing.T) {
	l := newLab(t, leaky(), 6, 3).run(9)
	want := diagnoseLab(t, l)
	require.Len(t, classesOf(want), 3)
	for _, p := range l.heaps {
		slices.Reverse(p.Sample)
	}
	got := diagnoseLab(t, l)
	assert.Equal(t, want.Headline, got.Headline)
	assert.Equal(t, classesOf(want), classesOf(got))
	for i, f := range want.Findings {
		assert.InEpsilon(t, f.Slope.Bytes, got.Findings[i].Slope.Bytes, 1e-9)
	}
}

func TestDiagnosisDoesNotDependOnNames(t *testing.T) {
	l := newLab(t, leaky(), 6, 3).run(9)
	want := diagnoseLab(t, l)
	rename := strings.NewReplacer("app/copy", "app/zebra", "app/reg.keep", "app/quux.stash", "app/queue.(*Queue).Put",
		"app/aa.(*B).C")
	for _, p := range append(slices.Clone(l.heaps), l.counts...) {
		for _, f := range p.Function {
			f.Name = rename.Replace(f.Name)
			f.Filename = rename.Replace(f.Filename)
		}
	}
	got := diagnoseLab(t, l)
	require.Equal(t, len(want.Findings), len(got.Findings))
	for i, f := range want.Findings {
		assert.Equal(t, f.Class, got.Findings[i].Class)
		assert.Equal(t, rename.Replace(f.Site.Function), got.Findings[i].Site.Function)
		assert.InEpsilon(t, f.Slope.Bytes, got.Findings[i].Slope.Bytes, 1e-9)
	}
}

// The clock's zero and the speed of the machine must not matter to a leak per file.
func TestDiagnosisDoesNotDependOnTheClock(t *testing.T) {
	l := newLab(t, leaky(), 6, 3).run(9)
	want := diagnoseLab(t, l)
	for i := range l.trial.Snapshots {
		n := &l.trial.Snapshots[i]
		n.Time = n.Time.Add(n.Time.Sub(l.start) * 3).Add(1000 * time.Hour)
	}
	assert.Equal(t, classesOf(want), classesOf(diagnoseLab(t, l)))
}

func classesOf(v *record.Verdict) []string {
	var out []string
	for _, f := range v.Findings {
		if costs.KindOf(f) != "" {
			out = append(out, string(f.Class)+" "+f.Site.Function)
		}
	}
	return out
}

func TestContradictoryDataIsInconclusive(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(l *lab)
		says  string
	}{
		"wrong order": {func(l *lab) { slices.Reverse(l.trial.Snapshots) }, "earlier"},
		"the clock jumps": {func(l *lab) {
			for i := 20; i < len(l.trial.Snapshots); i++ {
				l.trial.Snapshots[i].Time = l.trial.Snapshots[i].Time.Add(240 * time.Hour)
			}
		}, "clock jumps"},
		"two binaries":           {func(l *lab) { l.heaps[7].Mapping[0].BuildID = "another" }, "different binaries"},
		"counters run backwards": {func(l *lab) { l.trial.Snapshots[9].Covariates.FilesDone = 0 }, "backwards"},
		"a restart":              {func(l *lab) { l.trial.Snapshots[9].Runtime.NumGC = 1 }, "restarted"},
		"no snapshots":           {func(l *lab) { l.trial.Snapshots = nil }, "no floor"},
		"no floors": {func(l *lab) {
			l.trial.Snapshots = slices.DeleteFunc(l.trial.Snapshots,
				func(n record.Snapshot) bool { return n.State == record.StateFloor })
		}, "no floor"},
		"one wave":             {func(l *lab) { l.trial.Snapshots = l.trial.Snapshots[:3] }, "need >= 6 floors"},
		"no held states":       {func(l *lab) { l.trial.Snapshots = l.trial.Snapshots[:12] }, "held states"},
		"it did not end":       {func(l *lab) { l.trial.Outcome = "" }, "ended early"},
		"it was a speed trial": {func(l *lab) { l.trial.Kind = record.Speed }, "measured, not judged"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, &subject{sources: background()}, 6, 1).run(9)
			heaps := map[string]*profile.Profile{}
			for i, n := range l.trial.Snapshots {
				heaps[n.Heap] = l.heaps[i]
			}
			c.spoil(l)
			l.heaps = l.heaps[:0]
			for _, n := range l.trial.Snapshots {
				l.heaps = append(l.heaps, heaps[n.Heap])
			}
			v := diagnoseLab(t, l)
			assert.Equal(t, record.Inconclusive, v.Headline)
			assert.Contains(t, strings.Join(v.Warnings, "\n"), c.says)
		})
	}
}

func TestADamagedProfileIsNamedAndTheRestIsUsed(t *testing.T) {
	l := newLab(t, leaky(), 6, 5).run(10)
	dir := l.write(t.TempDir())
	broken := l.trial.Snapshots[5].Heap
	require.NoError(t, os.WriteFile(filepath.Join(dir, broken), []byte("no profile"), 0o644))
	require.NoError(t, os.Remove(filepath.Join(dir, l.trial.Snapshots[8].Goroutine)))
	v, err := DiagnoseTrial(dir, Options{})
	require.NoError(t, err)
	assert.Len(t, classesOf(v), 3, "the others suffice")
	all := strings.Join(v.Warnings, "\n")
	assert.Contains(t, all, filepath.Base(broken))
	assert.Contains(t, all, filepath.Base(l.trial.Snapshots[8].Goroutine))
}

func TestAForeignProfileIsRefusedByName(t *testing.T) {
	l := newLab(t, leaky(), 6, 5).run(10)
	dir := l.write(t.TempDir())
	cpu := &profile.Profile{SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}}}
	writeProfile(t, filepath.Join(dir, l.trial.Snapshots[5].Heap), cpu)
	writeProfile(t, filepath.Join(dir, l.trial.Snapshots[6].Goroutine), l.heaps[0])
	v, err := DiagnoseTrial(dir, Options{})
	require.NoError(t, err)
	all := strings.Join(v.Warnings, "\n")
	assert.Contains(t, all, "not a Go heap profile")
	assert.Contains(t, all, "not a goroutine profile")
}

func TestAnUnreadableTrialIsAnError(t *testing.T) {
	dir := t.TempDir()
	_, err := DiagnoseTrial(dir, Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, record.TrialFile), []byte(`{"schema":"memsoak/trial/v9"}`), 0o644))
	_, err = DiagnoseTrial(dir, Options{})
	require.ErrorIs(t, err, record.ErrSchema)
}

// FuzzProfileBytes feeds damaged, truncated and foreign bytes as a profile of a trial, and alone: never a panic.
func FuzzProfileBytes(f *testing.F) {
	l := newLab(f, newSubject(faults[1].make), 3, 2).run(2)
	var raw bytes.Buffer
	require.NoError(f, l.heaps[4].WriteUncompressed(&raw))
	f.Add(raw.Bytes())
	f.Add(raw.Bytes()[:raw.Len()/2])
	var zipped bytes.Buffer
	require.NoError(f, l.counts[4].Write(&zipped))
	f.Add(zipped.Bytes())
	f.Add([]byte{})
	f.Add([]byte("heap profile: 1: 2 [3: 4] @ heap/1048576\n1: 2 [3: 4] @ 0x1\n"))
	dir := f.TempDir()
	l.write(dir)
	f.Fuzz(func(t *testing.T, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, l.trial.Snapshots[4].Heap), b, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, l.trial.Snapshots[5].Goroutine), b, 0o644))
		_, err := DiagnoseTrial(dir, Options{})
		require.NoError(t, err)
		if v, err := DiagnoseFiles([]string{filepath.Join(dir, l.trial.Snapshots[4].Heap)}, nil, Options{}); err == nil {
			require.Equal(t, record.Inconclusive, v.Headline)
		}
	})
}
