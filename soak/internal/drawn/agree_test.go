package drawn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
)

const (
	recordings = "../../../profiles/testdata/recordings"
	longRuns   = 300
)

// part is a trial of a drawn run.
type part struct {
	*Recording
	Mutation
	workers     int
	held, whole int64 // the largest mean size of files that were held, and of those that all workers held
}

// sample is a drawn run, judged, with what each of its outputs is read from.
type sample struct {
	program string // soak
	dir     string
	limit   int64
	parts   []part
	verdict *record.RunVerdict
	plans   map[costs.Plan]*record.Capacity
}

func (s *sample) String() string {
	text := fmt.Sprintf("limit %d MiB", s.limit>>20)
	for _, p := range s.parts {
		text += fmt.Sprintf("; %s %s at %d workers", p.Recording.Name, p.Mutation.Name, p.workers)
	}
	return text
}

// draw makes a run of one to three recordings, each with a mutation of its own. The first mutation goes through all in
// turn.
func draw(t *testing.T, n int, rng *rand.Rand) *sample {
	t.Helper()
	names, err := Names(recordings)
	require.NoError(t, err)
	s := &sample{dir: t.TempDir(), plans: map[costs.Plan]*record.Capacity{}, limit: []int64{48 << 20, 128 << 20,
		256 << 20, 2 << 30}[rng.IntN(4)]}
	m, count := Mutations[n%len(Mutations)], 1+rng.IntN(3)
	// A kill contradicts an answer only where a sound trial of more workers gives one, which few drawn runs have.
	refuted := n < len(Mutations) && m.Name == "killed"
	switch {
	case refuted:
		s.limit, count = 2<<30, 2
	case m.Sound():
		count = 1 // the model of one subject
	}
	var all []*Recording
	for i := range count {
		name := names[rng.IntN(len(names))]
		if i > 0 {
			m = Mutations[rng.IntN(len(Mutations))]
		}
		if refuted {
			m, name = []Mutation{m, Mutations[0]}[i], "coarse-ok-plain"
		}
		if n == 0 { // memory that comes with files beside the rows of the cost table, which few have
			name = "conn-dial"
		}
		r, err := Read(recordings, name)
		require.NoError(t, err)
		w, _ := strconv.Atoi(r.Workers())
		w = max(1, w) << i
		r.SetWorkers(strconv.Itoa(w))
		if r.Trial.Isolation.Limit > 0 {
			r.Trial.Isolation.Limit = s.limit
		}
		m.Apply(r, rng)
		if r.Trial.OOM != nil {
			r.Trial.OOM.Limit = s.limit
		}
		all = append(all, r)
		s.parts = append(s.parts, part{r, m, w, heldSize(r, 1), heldSize(r, int64(w))})
	}
	s.verdict, err = WriteRun(s.dir, s.limit, all...)
	require.NoError(t, err)
	return s
}

func heldSize(r *Recording, transfers int64) int64 {
	var most int64
	for _, n := range r.Trial.Snapshots {
		if c := n.Covariates; n.State.Held() && c != nil && c.InFlight >= transfers {
			most = max(most, c.BytesInFlight/c.InFlight)
		}
	}
	return most
}

// sound reports whether any trial may support a claim.
func (s *sample) sound() bool {
	for _, p := range s.parts {
		if p.Mutation.Sound() && p.Trial.Outcome == record.OK {
			return true
		}
	}
	return false
}

func (s *sample) plan(t *testing.T, p costs.Plan) *record.Capacity {
	t.Helper()
	if c := s.plans[p]; c != nil {
		return c
	}
	c, err := profiles.Capacity(s.dir, p, profiles.Options{PlannedFiles: p.Files, LargestFile: p.LargestFile})
	require.NoError(t, err)
	s.plans[p] = c
	return c
}

// relations hold for every run, whatever was recorded and whatever went wrong.
var relations = []struct {
	name  string
	check func(*testing.T, *sample)
}{
	{"no answer at or above a kill at the same settings", noAnswerAboveAKill},
	{"what died or did nothing passes nothing and answers nothing", deadAndIdleSayNothing},
	{"the gate's peak is the highest of the cell's trials", gatePeakIsTheTrials},
	{"the gate's growth is the sum of the rows without a bound", growthIsTheSum},
	{"the model at a setting that was tried is what was measured", modelIsWhatWasMeasured},
	{"no predicted peak is below one that was measured with as few workers", predictionsCoverPeaks},
	{"no answer is for less memory than was seen in use with as few workers", answersHoldWhatWasSeen},
	{"the smallest limit for workers, given as the limit, answers as many, and 2 MiB less does not", smallestIsTheInverse},
	{"files as large as the largest that is safe fit", largestFilesFit},
	{"the report's first screen, plan and verdict.json say the same", firstScreenIsThePlan},
	{"the report's title, first line and cure are of one cause", firstScreenHasOneCause},
	{"a finding's size at the plan is its row times the planned units", atPlanIsTheRow},
	{"what a file adds to the run is what it adds to the run's trial", runIsItsTrials},
}

func TestNoTwoOutputsOfARunDisagree(t *testing.T) {
	program := filepath.Join(t.TempDir(), "soak")
	built, err := exec.Command("go", "build", "-o", program, "../../cmd/soak").CombinedOutput()
	require.NoError(t, err, "%s", built)
	runs := len(Mutations)
	if os.Getenv("MEMSOAK_LONG") != "" {
		runs = longRuns
	}
	for n := range runs {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			t.Parallel()
			s := draw(t, n, rand.New(rand.NewPCG(uint64(n), 18)))
			s.program = program
			for _, r := range relations {
				t.Run(r.name, func(t *testing.T) {
					r.check(t, s)
					if t.Failed() {
						t.Log(s)
					}
				})
			}
		})
	}
}

func noAnswerAboveAKill(t *testing.T, s *sample) {
	for _, limit := range []int64{s.limit} {
		c := s.plan(t, costs.Plan{Limit: limit})
		for _, p := range s.parts {
			if p.Trial.Outcome != record.OOMKilled {
				continue
			}
			assert.Less(t, c.MaxWorkers, p.workers, "%v", c.Answer)
			if f := c.Fits; f != nil && f.Workers >= p.workers && mostFiles(p.Recording) > 0 {
				assert.Less(t, f.Files, float64(mostFiles(p.Recording)), "%v", c.Answer)
			}
		}
	}
}

// mostFiles is the most files listed or done.
func mostFiles(r *Recording) int64 {
	var most int64
	for _, n := range r.Trial.Snapshots {
		if c := n.Covariates; c != nil {
			most = max(most, c.FilesListed, c.FilesDone)
		}
	}
	if r.Trial.OOM != nil {
		most = max(most, r.Trial.OOM.FilesDone)
	}
	return most
}

// generous are thresholds that any sound trial passes.
var generous = []string{"peak < 1TiB", "peak_rss < 1TiB", "peak_cgroup < 1TiB", "peak_live < 1TiB", "held_live < 1TiB",
	"floor_live < 1TiB", "floor_growth < 1000",
	"growth_bytes_per_file < 1TiB", "leak_bytes_per_file < 1TiB", "leak_bytes_per_second < 1TiB",
	"bytes_per_worker < 1TiB",
	"bytes_per_byte_in_flight < 1000", "bytes_per_listed_file < 1TiB", "bytes_per_connection < 1TiB",
	"goroutines_growth < 100000", "findings < 1000",
	"headline != leak", "max_workers(1TiB) >= 1"}

func deadAndIdleSayNothing(t *testing.T, s *sample) {
	rep := judged(t, s.dir)
	bad := map[string]bool{} // cells with a trial that says nothing
	for _, p := range s.parts {
		if !p.Mutation.Sound() {
			bad[p.Trial.Cell.String()] = true
		}
	}
	if len(bad) > 0 {
		assert.NotEqual(t, gate.Pass, rep.Outcome)
	}
	for _, x := range rep.Results {
		if bad[x.Cell.String()] && !strings.HasPrefix(x.Check, "max_workers") && !impliedCheck(x.Check) {
			assert.NotEqual(t, gate.Pass, x.Outcome, "%s: %s", x.Cell, x.Sentence())
		}
		if !s.sound() && strings.HasPrefix(x.Check, "max_workers") {
			assert.NotEqual(t, gate.Pass, x.Outcome, "%s", x.Sentence())
		}
	}
	if !s.sound() {
		c := s.plan(t, costs.Plan{Limit: s.limit})
		assert.LessOrEqual(t, c.MaxWorkers, 0, "%v", c.Answer)
		assert.Nil(t, c.Fits, "%v", c.Answer)
		assert.Zero(t, c.Mended, "%v", c.Answer)
	}
}

// perFile is what a row's unit comes to, a file, by the last count of the work.
func perFile(trial *record.Trial, per string) (float64, bool) {
	var last record.Covariates
	seconds := 0.0
	for _, n := range trial.Snapshots {
		if c := n.Covariates; c != nil && c.FilesDone >= last.FilesDone {
			last, seconds = *c, n.Time.Sub(trial.Snapshots[0].Time).Seconds()
		}
	}
	v, ok := map[string]float64{"file": 0, "listed-file": 0, "backlog-item": 0, "distinct-item": 0,
		"byte":    float64(last.BytesDone),
		"request": float64(last.Requests), "page": float64(last.Pages), "wave": float64(last.Waves),
		"error": float64(last.Failed), "second": seconds}[per]
	switch per {
	case "file", "listed-file", "backlog-item", "distinct-item", "large-file":
		return 1, true
	}
	return v / math.Max(1, float64(last.FilesDone)), ok
}

func gatePeakIsTheTrials(t *testing.T, s *sample) {
	run, err := gate.LoadRun(s.dir)
	require.NoError(t, err)
	for _, c := range run.Cells {
		var most int64
		for _, p := range s.parts {
			if n, kind := p.Trial.Peak.Memory(); p.Trial.Cell.String() == c.Cell.String() && kind != record.PeakLive {
				most = max(most, n)
			}
		}
		got, _ := gate.Measure(c).Get("peak")
		assert.EqualValues(t, most, got)
	}
}

func growthIsTheSum(t *testing.T, s *sample) {
	run, err := gate.LoadRun(s.dir)
	require.NoError(t, err)
	for _, c := range run.Cells {
		for _, trial := range c.Trials {
			if trial.Verdict == nil || trial.Verdict.Headline.String() == string(record.Inconclusive) {
				continue
			}
			sum := 0.0
			for _, row := range trial.Verdict.Costs {
				if n, ok := perFile(trial.Trial, row.Per); ok && !row.Bounded {
					sum += n * row.Bytes
				}
			}
			one := gate.Measure(gate.CellData{Cell: c.Cell, Trials: []gate.TrialData{trial}})
			got, ok := one.Get("growth_bytes_per_file")
			require.True(t, ok)
			assert.InDelta(t, sum, got, 1e-6*math.Max(1, sum))
		}
	}
	if fits := s.plan(t, costs.Plan{Limit: s.limit}).Fits; fits != nil && len(s.parts) == 1 {
		got, _ := gate.Measure(run.Cells[0]).Get("growth_bytes_per_file")
		assert.InDelta(t, fits.PerFile, got, 1e-6*got, "soak plan's bytes a file with all that grows")
	}
}

// TestOutcomesThatDisagreeSupportNothing: which of two records is right can't be known, and a kill may have been.
func TestOutcomesThatDisagreeSupportNothing(t *testing.T) {
	for status, trial := range map[record.Outcome]record.Outcome{record.OOMKilled: record.OK,
		record.OK: record.OOMKilled} {
		r, err := Read(recordings, "coarse-ok-plain")
		require.NoError(t, err)
		r.SetWorkers("4")
		if trial == record.OOMKilled {
			r.kill()
		}
		s := &sample{dir: t.TempDir(), limit: 2 << 30, plans: map[costs.Plan]*record.Capacity{}}
		r.Trial.Isolation.Limit = s.limit
		_, err = WriteRun(s.dir, s.limit, r)
		require.NoError(t, err)
		run, err := record.ReadRun(s.dir)
		require.NoError(t, err)
		run.Status[0].Trials[0].Outcome = status
		require.NoError(t, record.Write(filepath.Join(s.dir, record.RunFile), run))
		assert.Equal(t, gate.Inconclusive, judged(t, s.dir).Outcome)
		c := s.plan(t, costs.Plan{Limit: s.limit})
		assert.LessOrEqual(t, c.MaxWorkers, 0, "%v", c.Answer)
		assert.Equal(t, 4, c.KilledAt, "%v", c.Answer)
	}
}

// modelIsWhatWasMeasured looks at runs of one sound trial: several recordings are several subjects, which no model
// fits.
func modelIsWhatWasMeasured(t *testing.T, s *sample) {
	if len(s.parts) > 1 || !s.sound() || s.verdict.Model == nil {
		return
	}
	p := s.parts[0]
	for _, n := range p.Trial.Snapshots {
		c := n.Covariates
		if n.State != record.StateReply || c == nil || int(c.InFlight) != p.workers || n.HeapLive == 0 ||
			c.BytesInFlight == 0 || n.Process == nil {
			continue
		}
		plan := costs.Plan{Limit: 64 << 30, Files: max(1, c.FilesListed), LargestFile: c.BytesInFlight / c.InFlight}
		for _, step := range s.plan(t, plan).At {
			if step.Workers < p.workers {
				continue
			}
			// A limit counts pages, and there need be none for all of the live heap.
			resident := min(n.HeapLive, n.Process.HeapArena+n.Process.Swap) + n.Process.OtherAnon
			assert.GreaterOrEqual(t, 1.2*float64(step.Live+step.Outside)+(1<<20), float64(resident),
				"%s: live and outside", n.Phase)
			assert.GreaterOrEqual(t, step.PI95[1], resident, "%s: %d files of %d B held", n.Phase, c.InFlight,
				plan.LargestFile)
			break // the setting that was tried, or the next above it
		}
	}
}

// ample is a limit that keeps no garbage away.
const ample = 1 << 42

func predictionsCoverPeaks(t *testing.T, s *sample) {
	c := s.plan(t, costs.Plan{Limit: ample})
	for i, step := range c.At {
		assert.LessOrEqual(t, step.PI95[0], step.Peak)
		assert.LessOrEqual(t, step.Peak, step.PI95[1])
		if i > 0 {
			assert.GreaterOrEqual(t, step.Peak, c.At[i-1].Peak, "%d workers", step.Workers)
			assert.GreaterOrEqual(t, step.PI95[1], c.At[i-1].PI95[1], "%d workers", step.Workers)
		}
		for _, p := range s.parts {
			if peak := p.Trial.Peak.Bytes(); p.workers <= step.Workers && p.held <= c.LargestFile {
				assert.GreaterOrEqual(t, step.Peak, peak, "%d workers, %s measured", step.Workers, p.Recording.Name)
			}
			if p.workers == step.Workers {
				assert.GreaterOrEqual(t, step.Measured, p.Trial.Peak.Bytes())
			}
		}
	}
	if p := s.parts[0]; len(s.parts) == 1 && s.sound() && s.verdict.Model != nil {
		c := s.plan(t, costs.Plan{Limit: ample, Files: max(1, mostFiles(p.Recording)), LargestFile: p.whole})
		for _, step := range c.At {
			if peak := p.Trial.Peak.Bytes(); step.Workers == p.workers && p.whole > 0 {
				assert.LessOrEqual(t, step.PI95[0], peak, "the trial's own work")
			}
		}
	}
}

// answersHoldWhatWasSeen asks for less than the largest state of a trial had after collections.
func answersHoldWhatWasSeen(t *testing.T, s *sample) {
	for _, p := range s.parts {
		var most int64
		for _, n := range p.Trial.Snapshots {
			if r := n.Process; r != nil && n.ForcedGC > 0 {
				most = max(most, min(n.HeapLive, r.HeapArena+r.Swap)+r.OtherAnon)
			}
		}
		plan := costs.Plan{Limit: most - 1<<16}
		if p.held > s.plan(t, costs.Plan{Limit: ample}).LargestFile || plan.Limit <= 0 {
			continue
		}
		c := s.plan(t, plan)
		assert.Less(t, c.MaxWorkers, p.workers, "%s had %d B: %v", p.Recording.Name, most, c.Answer)
	}
}

// smallestIsTheInverse asks for as many workers as each part had, on the run's work and on the default.
func smallestIsTheInverse(t *testing.T, s *sample) {
	for _, p := range s.parts {
		for _, files := range []int64{0, mostFiles(p.Recording)} {
			plan := costs.Plan{Workers: p.workers, Files: files}
			c := s.plan(t, plan)
			require.NotNil(t, c.Smallest)
			if c.MaxWorkers == 0 {
				assert.Zero(t, c.Limit, "%v", c.Answer)
				continue
			}
			assert.True(t, s.sound())
			for _, o := range s.parts {
				if o.Trial.OOM != nil && o.workers <= p.workers && (files == 0 || mostFiles(o.Recording) <= files) {
					assert.Greater(t, c.Limit, o.Trial.OOM.Limit, "%v", c.Answer)
				}
			}
			plan.Limit = c.Limit
			assert.GreaterOrEqual(t, s.plan(t, plan).MaxWorkers, p.workers, "%v", c.Answer)
			plan.Limit -= 2 << 20
			assert.True(t, plan.Limit <= 0 || s.plan(t, plan).MaxWorkers < p.workers, "%v", c.Answer)
		}
	}
}

func largestFilesFit(t *testing.T, s *sample) {
	for _, p := range s.parts {
		for _, plan := range []costs.Plan{{Limit: s.limit}, {Limit: s.limit, Workers: p.workers},
			{Limit: ample, Workers: p.workers, LargestFile: max(1, p.held)}} {
			c := s.plan(t, plan)
			if c.Sizes == nil || c.Sizes.Safe <= 0 {
				continue
			}
			plan.LargestFile = c.Sizes.Safe
			got := s.plan(t, plan)
			assert.GreaterOrEqual(t, got.MaxWorkers, c.Sizes.Workers, "%v", c.Answer)
			if b := c.Sizes.Breaks; b > 0 {
				assert.Less(t, c.Sizes.Safe, b)
				plan.LargestFile = b
				assert.Less(t, s.plan(t, plan).MaxWorkers, c.Sizes.Workers, "%v", c.Answer)
			}
		}
	}
}

func atPlanIsTheRow(t *testing.T, s *sample) {
	for _, v := range s.verdict.Cells {
		for _, f := range v.Findings {
			if f.Slope == nil || f.Bound > 0 {
				continue
			}
			n, ok := perFile(s.trial(v), f.Slope.Per)
			if !ok {
				continue
			}
			var rows []float64
			found := false
			for _, row := range v.Costs {
				if row.Class == f.Class && row.Site == f.Site && row.Per == f.Slope.Per {
					rows = append(rows, row.Bytes)
					want := n * row.Bytes * costs.DefaultPlannedFiles
					found = found || math.Abs(float64(f.AtPlan)-want) <= 1e-6*want+1
				}
			}
			assert.True(t, found || len(rows) == 0, "%d at the plan, rows %v: %s", f.AtPlan, rows, f.Summary)
		}
	}
}

// runIsItsTrials looks at runs of one trial, whose table is the run's.
func runIsItsTrials(t *testing.T, s *sample) {
	if len(s.parts) > 1 || len(s.verdict.Costs) == 0 {
		return
	}
	rates := costs.RatesOf(&s.parts[0].Trial)
	sum := costs.Growth(s.verdict.Cells[0].Costs, rates)
	assert.InDelta(t, sum, costs.Growth(s.verdict.Costs, rates), 1e-6*math.Max(1, sum))
}

func (s *sample) trial(v record.Verdict) *record.Trial {
	for _, p := range s.parts {
		if p.Trial.Cell.String() == v.Cell.String() && p.Trial.Index == v.Trial {
			return &p.Trial
		}
	}
	return nil
}
