package drawn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/testsubject"
)

// The gate's figure on runs that went wrong: `make gate-bench` records badReal real ones, kept in MEMSOAK_GATE_BAD, and
// mutates recordings to the rest.
const (
	badRuns   = 200
	badReal   = 40
	badRepeat = 3 // a real kind is run once to each of these many settings of workers in turn
)

func TestMain(m *testing.M) {
	testsubject.Main()
	os.Exit(m.Run())
}

// badKinds are real subjects that go wrong, each with the outcome that shows it. How often each is run adds up to
// badReal.
var badKinds = []struct {
	mode    string
	limit   units.Bytes
	outcome record.Outcome
	runs    int
}{
	{testsubject.Buffer, 40 << 20, record.OOMKilled, 12},
	{testsubject.Crash, 512 << 20, record.Crashed, 8},
	{testsubject.Empty, 512 << 20, record.OK, 9},
	{testsubject.Half, 512 << 20, record.OK, 9},
	{testsubject.Refuse, 512 << 20, record.WaveFailed, 2},
}

func TestBadRunsAddUp(t *testing.T) {
	n := 0
	for _, k := range badKinds {
		n += k.runs
	}
	assert.Equal(t, badReal, n)
}

// TestNoBadRunPassesTheGate prints the figure; see `make gate-bench`.
func TestNoBadRunPassesTheGate(t *testing.T) {
	out := os.Getenv("MEMSOAK_GATE_BAD")
	if out == "" {
		t.Skip("200 runs, 40 of them real: make gate-bench")
	}
	passes, results, counted := 0, 0, map[string]int{}
	judge := func(dir, kind string) {
		rep := judged(t, dir)
		counted[kind]++
		if rep.Outcome == gate.Pass {
			passes++
			t.Errorf("%s passes: %s", kind, dir)
		}
		for _, x := range rep.Results {
			if x.Outcome == gate.Pass && !impliedCheck(x.Check) {
				results++
				t.Errorf("%s passes %s: %s", kind, x.Sentence(), dir)
			}
		}
	}
	for _, k := range badKinds {
		for i := range k.runs {
			dir := filepath.Join(out, fmt.Sprintf("%s-%02d", k.mode, i+1))
			require.NoError(t, recordBad(dir, k.mode, k.limit, 1<<(i%badRepeat+2)))
			run, err := record.ReadRun(dir)
			require.NoError(t, err)
			require.Equal(t, k.outcome, run.Status[0].Trials[0].Outcome, "%s is no run of its kind", dir)
			judge(dir, "real "+k.mode)
		}
	}
	names, err := Names(recordings)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(200, 18))
	for n := 0; n < badRuns-badReal; {
		m := Mutations[rng.IntN(len(Mutations))]
		if m.Sound() {
			continue
		}
		n++
		r, err := Read(recordings, names[rng.IntN(len(names))])
		require.NoError(t, err)
		m.Apply(r, rng)
		dir := t.TempDir()
		_, err = WriteRun(dir, 256<<20, r)
		require.NoError(t, err)
		judge(dir, "recorded, "+m.Name)
	}
	t.Logf("%-62s asked %-14s measured %d of %d (%d thresholds of theirs passed); real %d, %v",
		"killed, crashed, idle and half-done runs that pass the gate",
		"0 of 200", passes, badRuns, results, badReal, counted)
}

func impliedCheck(check string) bool {
	return check == "outcome == ok" || check == "the planned work was done"
}

// judged is the gate's report of a run by thresholds that any sound run passes.
func judged(t *testing.T, dir string) *gate.Report {
	t.Helper()
	run, err := gate.LoadRun(dir)
	require.NoError(t, err)
	var ts []gate.Threshold
	for _, e := range generous {
		ts = append(ts, gate.Threshold{Expr: e})
	}
	checks, err := gate.CompileAll(ts)
	require.NoError(t, err)
	rep, err := gate.Judge(run, gate.Options{Checks: checks})
	require.NoError(t, err)
	return rep
}

// recordBad runs the subject with a short protocol, unless the directory has a run that ended.
func recordBad(dir, mode string, limit units.Bytes, workers int) error {
	if run, err := record.ReadRun(dir); err == nil && !run.Ended.IsZero() {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	spec, err := yaml.Marshal(testsubject.Spec(mode))
	if err != nil {
		return err
	}
	file := dir + ".yaml"
	if err := os.WriteFile(file, spec, 0o644); err != nil {
		return err
	}
	c := soak.DefaultConfig()
	c.Subject, c.Protocol, c.Limit, c.Set = file, "testdata/short.yaml", limit, soak.Cell{"workers": strconv.Itoa(workers)}
	plan, err := soak.NewPlan(c, soak.Shard{})
	if err != nil {
		return err
	}
	bin := os.Getenv("MEMSOAK_BIN")
	r := &soak.Runner{Plan: plan, Dir: dir, Fakedrive: filepath.Join(bin, "fakedrive"), Soak: filepath.Join(bin, "soak"),
		Judge: func(dir string) (*record.Verdict, error) { return profiles.DiagnoseTrial(dir, profiles.Options{}) }}
	if _, err := r.Run(context.Background()); err != nil {
		return err
	}
	v, err := profiles.DiagnoseRun(dir, profiles.Options{})
	if err != nil {
		return err
	}
	return record.Write(filepath.Join(dir, record.VerdictFile), v)
}
