package study

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	fakecorpus "github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/replay/history"
)

func finding(c record.Class, function string, bytes float64, per string, stack ...string) record.Finding {
	f := record.Finding{Class: c, Site: record.Site{Function: function, File: "soak/x.go", Line: 7}, Stack: stack}
	if per != "" {
		f.Slope = &record.Slope{Bytes: bytes, Per: per}
	}
	return f
}

func TestHypothesesFollowFromClassAndStack(t *testing.T) {
	for _, c := range []struct {
		finding record.Finding
		want    Hypothesis
	}{
		{finding(record.Metadata, "x.worker", 1, "backlog-item"), Discovery},
		{finding(record.BufferFile, "x.read", 1, "byte-in-flight"), HugeFiles},
		{finding(record.BufferPool, "net/http.(*Transport).dialConn", 1, "connection"), Responses},
		{finding(record.BufferWorker, "net/http/internal/http2.(*dataBuffer).Write", 1, "worker"), Responses},
		{finding(record.BufferWorker, "x.parts", 1, "worker", "net/http.(*Client).Do http/client.go:1", "x.parts x.go:1"),
			NoneOf},
		{finding(record.Leak, "x.keep", 1, "file", "google.golang.org/api/drive/v3.(*FilesGetCall).Do drive.go:1"),
			DriveLeak},
		{finding(record.ConnectionLeak, "net/http.(*persistConn).readLoop", 1, "file"), DriveLeak},
		{finding(record.Leak, "x.keep", 1, "file", "x.keep x.go:1"), NoneOf},
		{finding(record.GCHeadroom, "x.busy", 0, ""), NoneOf},
	} {
		assert.Equal(t, c.want, HypothesisOf(c.finding), "%s at %s", c.finding.Class, c.finding.Site.Function)
	}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// recorded is a trial that copied its corpus from second 10 on, with a sample a second.
func recorded(usages ...int64) (*record.Trial, []record.Sample) {
	begin := start.Add(10 * time.Second)
	tr := &record.Trial{Started: start, Outcome: record.OK, Isolation: record.Isolation{Kind: "cgroup-v1"},
		Phases: []record.Phase{{Name: "wave", Kind: "wave", Start: start, End: begin}, {Name: "free", Kind: "free",
			Start: begin, End: begin.Add(time.Duration(len(usages)) * time.Second)}},
		Snapshots: []record.Snapshot{{Phase: "wave", Sample: record.Sample{Time: begin.Add(-time.Second),
			Covariates: &record.Covariates{FilesDone: 100, FilesListed: 100, BytesDone: 1000}}}}}
	var samples []record.Sample
	for i, u := range usages {
		n := int64(i + 1)
		samples = append(samples, record.Sample{Time: begin.Add(time.Duration(i)*time.Second + time.Millisecond),
			PhaseName: "free",
			Cgroup:    &record.Cgroup{Usage: u}, Process: &record.Process{RSS: u},
			Covariates: &record.Covariates{FilesDone: 100 + n, FilesListed: 100 + 1000*n, Backlog: 999 * n, InFlight: 2,
				BytesInFlight: 1 << 20, ConnsOpen: 4, BytesDone: 1000 + 500*n}})
	}
	return tr, samples
}

func verdict(fs ...record.Finding) *record.Verdict {
	return &record.Verdict{Headline: record.HeadMetadata, Findings: fs}
}

var (
	row    = Row{Name: "v1", Limit: 8 << 20, Node: 6 << 20}
	corpus = Corpus{Name: "many-small", Files: 5000, Many: true}
)

func TestTheFullestMomentSizesTheFindings(t *testing.T) {
	tr, samples := recorded(1<<20, 4<<20, 2<<20)
	c := judgeCell(row, corpus, time.Minute, tr, verdict(
		finding(record.BufferWorker, "x.parts", 5<<20, "worker"), // no more than twice the bytes in flight
		finding(record.Metadata, "x.worker", 2000, "backlog-item"),
		finding(record.BufferPool, "net/http.dial", 1000, "connection"),
		finding(record.Leak, "x.keep", 10, "file", "x.keep x.go:1"),
	), samples)
	assert.EqualValues(t, 4<<20, c.Peak)
	assert.EqualValues(t, 3, c.Files)
	assert.EqualValues(t, 3000, c.Listed)
	assert.InDelta(t, 500, c.Rate, 1)
	require.Len(t, c.Shares, 4)
	assert.Equal(t, "x.worker", c.Culprit.Site.Function)
	assert.EqualValues(t, 2000*2*999, c.Shares[0].Bytes, "the backlog of the second sample")
	assert.EqualValues(t, 2<<20, c.Shares[1].Bytes)
	assert.EqualValues(t, 4000, c.Shares[2].Bytes)
	assert.EqualValues(t, 20, c.Shares[3].Bytes)
	assert.Equal(t, Discovery, c.Holds)
	assert.InDelta(t, 0.65, c.Part, 0.02)
	assert.Equal(t, Survived, c.Outcome)
	assert.Equal(t, "survived, 3 files in 3s", c.OutcomeText())
}

// TestGarbageDoesNotHideWhatWasHeld: usage is at its highest when all transfers have just ended, since garbage is not
// given back immediately.
func TestGarbageDoesNotHideWhatWasHeld(t *testing.T) {
	tr, samples := recorded(1<<20, 39<<17, 40<<17)
	last := samples[2].Covariates
	last.InFlight, last.BytesInFlight, last.Backlog = 0, 0, 0
	v := verdict(finding(record.BufferWorker, "x.parts", 1<<20, "worker"))
	c := judgeCell(row, corpus, time.Minute, tr, v, samples)
	assert.EqualValues(t, 40<<17, c.Peak)
	assert.EqualValues(t, 2<<20, c.Culprit.Bytes, "what the reading before had")
	samples[1].Cgroup.Usage = 3 << 20
	c = judgeCell(row, corpus, time.Minute, tr, v, samples)
	assert.Nil(t, c.Culprit, "that was not one of the fullest")
}

// TestPagesOfFilesAreNoPeak: they are charged to their first reader.
func TestPagesOfFilesAreNoPeak(t *testing.T) {
	tr, samples := recorded(7<<20, 5<<20)
	samples[0].Cgroup.File = 3 << 20
	c := judgeCell(row, corpus, time.Minute, tr, verdict(), samples)
	assert.EqualValues(t, 5<<20, c.Peak)
	tr.Outcome = record.Timeout
	c = judgeCell(row, corpus, time.Minute, tr, verdict(), samples)
	assert.True(t, c.Hung, "but they were charged when the limit was hit")
}

// TestGarbageOfTheWorkBeforeIsNoPeak, which is there until the first of the corpus is listed.
func TestGarbageOfTheWorkBeforeIsNoPeak(t *testing.T) {
	tr, samples := recorded(7<<20, 2<<20)
	samples[0].Covariates = &record.Covariates{FilesDone: 100, FilesListed: 100}
	c := judgeCell(row, corpus, time.Minute, tr, verdict(finding(record.Metadata, "x.worker", 1000, "backlog-item")),
		samples)
	assert.EqualValues(t, 2<<20, c.Peak)
	assert.EqualValues(t, 2*999*1000, c.Culprit.Bytes)
}

// TestFilesOfTheWorkBeforeAreNotTheCorpus, even if no reading came between its end and the copy.
func TestFilesOfTheWorkBeforeAreNotTheCorpus(t *testing.T) {
	tr, samples := recorded(1<<20, 2<<20)
	tr.Phases[0].Files = 101 // one of them ended after the last reading
	assert.EqualValues(t, 1, judgeCell(row, corpus, time.Minute, tr, verdict(), samples).Files)
	tr.Phases[0].Failed = "so nobody knows how many there were"
	assert.EqualValues(t, 2, judgeCell(row, corpus, time.Minute, tr, verdict(), samples).Files)
}

// TestWorkAfterTheCorpusIsNotTheCorpus: a diagnosis that is open asks for more, of which the subject may die.
func TestWorkAfterTheCorpusIsNotTheCorpus(t *testing.T) {
	tr, samples := recorded(1<<20, 2<<20)
	end := tr.Phases[1].End
	tr.Phases = append(tr.Phases, record.Phase{Name: "more-wave", Kind: "wave", Start: end.Add(time.Second), Files: 9000})
	samples = append(samples, record.Sample{Time: end.Add(2 * time.Second), PhaseName: "more-wave",
		Cgroup: &record.Cgroup{Usage: 8 << 20}, Process: &record.Process{RSS: 8 << 20},
		Covariates: &record.Covariates{FilesDone: 9000, FilesListed: 9000}})
	tr.Outcome, tr.OOM = record.OOMKilled, &record.OOM{Time: end.Add(3 * time.Second), Limit: row.Limit, FilesDone: 9000}
	c := judgeCell(row, corpus, time.Minute, tr, verdict(), samples)
	assert.Equal(t, Survived, c.Outcome)
	assert.EqualValues(t, 2, c.Files)
	assert.EqualValues(t, 2<<20, c.Peak)
	assert.Equal(t, 2*time.Second, c.After)
}

func TestNoHypothesisHoldsForWhatIsHealthy(t *testing.T) {
	tr, samples := recorded(1 << 20)
	v := verdict(finding(record.BufferPool, "net/http.dial", 1000, "connection"), finding(record.GCHeadroom, "x", 0, ""))
	v.Headline = record.Healthy
	c := judgeCell(row, corpus, time.Minute, tr, v, samples)
	assert.Equal(t, NoneOf, c.Holds)
	assert.Equal(t, "-", c.holdsText())
	assert.Len(t, c.Shares, 1, "nothing holds garbage")
	assert.Equal(t, "net/http.dial", c.Culprit.Site.Function)
}

func TestNoHypothesisHoldsByWhatIsHardlyThere(t *testing.T) {
	tr, samples := recorded(4 << 20)
	c := judgeCell(row, corpus, time.Minute, tr, verdict(finding(record.BufferPool, "net/http.dial", 10<<10,
		"connection")), samples)
	assert.Equal(t, NoneOf, c.Holds, "40 KiB of 4 MiB")
	assert.Equal(t, "not told: less than 5 % of the peak is explained", c.holdsText())
	c = judgeCell(row, corpus, time.Minute, tr, verdict(finding(record.BufferPool, "net/http.dial", 100<<10,
		"connection")), samples)
	assert.Equal(t, Responses, c.Holds)
}

func TestWhatIsHeldAfterTheCutDoesNotCount(t *testing.T) {
	tr, samples := recorded(1<<20, 2<<20, 4<<20)
	tr.Phases[1].CutOff = true
	c := judgeCell(row, corpus, 1500*time.Millisecond, tr, verdict(), samples)
	assert.EqualValues(t, 2<<20, c.Peak)
	assert.True(t, c.Cut)
	assert.Equal(t, Inconclusive, c.Outcome)
	assert.Equal(t, "inconclusive: ended after 1.5s with 2000 of 5000 files listed, 2 copied", c.OutcomeText())
	assert.Equal(t, NoneOf, c.Holds)
	assert.Equal(t, "-", c.holdsText())
	c.Listed, c.Outcome = c.Of, Survived
	assert.Equal(t, "survived 1.5s with all 5000 files listed, 2 copied", c.OutcomeText())
}

func TestACopyWithoutAnyReadingSaysSo(t *testing.T) {
	tr, samples := recorded(1<<20, 2<<20)
	c := judgeCell(row, corpus, time.Minute, tr, verdict(), nil)
	assert.Equal(t, "survived 2s, of which no reading could be taken", c.OutcomeText())
	assert.Zero(t, c.Files)
	assert.Zero(t, c.Rate)
	tr.Snapshots = append(tr.Snapshots, record.Snapshot{State: record.StateFree, Sample: samples[1]})
	c = judgeCell(row, corpus, time.Minute, tr, verdict(), nil)
	assert.EqualValues(t, 2<<20, c.Peak, "that which came with a profile counts too")
}

func TestOutcomes(t *testing.T) {
	for want, change := range map[string]func(*record.Trial){
		"oom-killed after 2s, 3000 of 5000 files listed, 2 copied": func(tr *record.Trial) {
			tr.Outcome = record.OOMKilled
			tr.OOM = &record.OOM{Time: start.Add(12 * time.Second), Limit: row.Limit, FilesDone: 102}
		},
		"node crashed after 2s, 3000 of 5000 files listed, 2 copied": func(tr *record.Trial) {
			tr.Outcome = record.OOMKilled
			tr.OOM = &record.OOM{Time: start.Add(12 * time.Second), Limit: row.Node, Node: true, FilesDone: 102}
		},
		"node crashed: hung at the limit after 3s, 3000 of 5000 files listed, 3 copied": func(tr *record.Trial) {
			tr.Outcome, tr.Reason = record.Timeout, "hung at its limit"
		},
		// no sample saw it full
		"node crashed: hung at the limit after 4s, 3000 of 5000 files listed, 3 copied": func(tr *record.Trial) {
			tr.Outcome, tr.Peak.Cgroup, tr.Phases[1].End = record.Timeout, row.Node, tr.Phases[1].End.Add(time.Second)
		},
		"failed: exit code 2: a / b": func(tr *record.Trial) {
			tr.Outcome, tr.Reason = record.Crashed, "exit code 2:\n a | b"
		},
		"predicted: node crashed after 3s, 3000 of 5000 files listed, 3 copied": func(tr *record.Trial) {
			tr.Isolation.Kind = "none"
		},
	} {
		tr, samples := recorded(1<<20, 7<<20, 6<<20)
		change(tr)
		c := judgeCell(row, corpus, time.Minute, tr, verdict(), samples)
		assert.Equal(t, want, c.OutcomeText())
	}
}

func TestWhoLeavesItsWorkHasNotSurvived(t *testing.T) {
	for _, isolation := range []string{"cgroup-v1", "none"} {
		tr, samples := recorded(1<<20, 1<<20)
		tr.Isolation.Kind = isolation
		tr.Phases[1].Counted, tr.Phases[1].Files, tr.Phases[1].Copied = true, 5000, 2
		assert.Equal(t, Inconclusive, judgeCell(row, corpus, time.Minute, tr, verdict(), samples).Outcome, isolation)
		tr.Phases[1].Copied = 5000
		assert.Equal(t, Survived, judgeCell(row, corpus, time.Minute, tr, verdict(), samples).Outcome, isolation)
	}
}

func TestWithoutCgroupsEveryOutcomeIsPredicted(t *testing.T) {
	for peak, want := range map[int64]string{1 << 20: Survived, 7 << 20: NodeCrashed, 9 << 20: NodeCrashed} {
		tr, samples := recorded(peak)
		tr.Isolation = record.Isolation{Kind: "none", Why: "no permission"}
		c := judgeCell(row, corpus, time.Minute, tr, verdict(), samples)
		assert.Equal(t, want, c.Outcome)
		assert.True(t, c.Predicted)
	}
	tr, samples := recorded(9 << 20)
	tr.Isolation.Kind = "none"
	c := judgeCell(Row{Name: "v1", Limit: 8 << 20, Node: 16 << 20}, corpus, time.Minute, tr, verdict(), samples)
	assert.Equal(t, Killed, c.Outcome, "the node has room")
	var b strings.Builder
	r := &Result{Scale: 16, Predicted: true, Cells: []*Cell{&c, &c}}
	require.NoError(t, r.WriteMarkdown(&b))
	assert.Contains(t, b.String(), "outcomes are predicted from the peaks, not suffered, in every row")
	assert.Equal(t, 2, strings.Count(b.String(), "    predicted: oom-killed"))
}

func TestATrialThatNeverCameToItsCorpusExplainsNothing(t *testing.T) {
	tr, _ := recorded()
	tr.Phases, tr.Outcome, tr.OOM = tr.Phases[:1], record.OOMKilled, &record.OOM{Time: start, Limit: row.Limit}
	c := judgeCell(row, corpus, time.Minute, tr, verdict(finding(record.Metadata, "x", 1, "backlog-item")), nil)
	assert.Equal(t, "oom-killed in the states before the corpus", c.OutcomeText())
	assert.Zero(t, c.Files)
	assert.Equal(t, Killed, c.Outcome)
	assert.Nil(t, c.Culprit)
	assert.Equal(t, NoneOf, c.Holds)
}

func TestStabilityCountsHeadlinesAndCulprits(t *testing.T) {
	a := Cell{Outcome: Killed, Headline: "metadata", Shares: []Share{{Site: record.Site{Function: "x"}}}}
	a.Culprit = &a.Shares[0]
	b := a
	b.Shares = []Share{{Site: record.Site{Function: "y"}}}
	b.Culprit = &b.Shares[0]
	c := a
	c.Headline, c.Outcome = "leak", Survived
	assert.Equal(t, &Stability{Runs: 4, Headlines: 3, Culprits: 2, Outcomes: 3}, stability([]Cell{a, a, b, c}))
	a.Stable, b.Stable = stability([]Cell{a, a, a}), stability([]Cell{a, a, b})
	assert.Equal(t, "The same in all repeats: the headline in 2 of 2 cells, headline and culprit in 1, the outcome in "+
		"2.\n\n", stableText([]*Cell{&a, &b, &c}))
	assert.Empty(t, stableText([]*Cell{&c}))
}

func TestExpectationsAreSetBesideWhatWasSuffered(t *testing.T) {
	rows := []Row{{Name: "a", Group: Versions, Happened: "node crashed", Expected: history.NodeCrashed},
		{Name: "b", Group: Versions, Expected: history.OOMKilled},
		{Name: "c", Group: Versions, Expected: history.Unknown}, {Name: "d", Group: WhatIf}}
	cells := []*Cell{
		{Row: "a", Corpus: "many-small", Outcome: NodeCrashed},
		{Row: "a", Corpus: huge, Outcome: Survived, Peak: 100, Shares: []Share{{Slope: &record.Slope{Bytes: 10,
			Per: "worker"}}, {Slope: &record.Slope{Bytes: 5, Per: "connection"}}}},
		{Row: "b", Corpus: huge, Outcome: Survived}, {Row: "c", Corpus: huge, Outcome: Killed}, {Row: "d", Corpus: huge,
			Outcome: Killed},
	}
	got := expectations(rows, cells, 16)
	require.Len(t, got, 3)
	assert.True(t, *got[0].Agrees)
	assert.EqualValues(t, 160, got[0].PerWorker)
	assert.EqualValues(t, 1600, got[0].Total)
	assert.False(t, *got[1].Agrees)
	assert.Nil(t, got[2].Agrees)
}

// TestEveryCellHasAPlanThatCanBeRun, so that no setting of a row is one that its subject doesn't have.
func TestEveryCellHasAPlanThatCanBeRun(t *testing.T) {
	b := &Bench{Out: t.TempDir(), Scale: 16, Free: time.Second, Budget: time.Minute, Repeats: 2}
	names := map[string]bool{}
	for _, r := range Rows(16) {
		assert.False(t, names[slug(r.Name)], "%s: two rows share a directory", r.Name)
		names[slug(r.Name)] = true
		for _, c := range Corpora() {
			w, err := b.work(r, c.At(16))
			require.NoError(t, err)
			plan, err := soak.NewPlan(config(w), soak.Shard{})
			require.NoError(t, err, "%s on %s", r.Name, c.Name)
			assert.Len(t, plan.Trials, 2)
			last := plan.Protocol.Phases[len(plan.Protocol.Phases)-1]
			assert.Equal(t, "free", last.Kind)
			assert.Equal(t, b.Budget, time.Duration(plan.Protocol.Budget-last.AtMost),
				"the copy takes nothing of the budget of the states before")
		}
	}
	rows, err := selectRows(Rows(16), []string{"v2.4.*", Migrator})
	require.NoError(t, err)
	assert.Len(t, rows, 3+5)
	_, err = selectRows(Rows(16), []string{"nope"})
	assert.ErrorIs(t, err, ErrSelection)
	_, err = selectCorpora([]string{"nope"})
	assert.ErrorIs(t, err, ErrSelection)
}

// TestSizesRiseForASubjectThatKeepsItsBuffers, and for no other: what came later would look as if it grew with its
// turn.
func TestSizesRiseForASubjectThatKeepsItsBuffers(t *testing.T) {
	sizes := func(subject string) (out []int64) {
		p, err := protocol.Parse(corpus.Protocol(Row{Subject: subject, Limit: 2 << 30}, 1, time.Minute, time.Second, 0))
		require.NoError(t, err)
		for _, ph := range p.Phases {
			if ph.Point == fault.UploadReply {
				out = append(out, int64(ph.Size))
			}
		}
		return out
	}
	service, rclone := sizes("replay"), sizes("rclone")
	assert.ElementsMatch(t, service, rclone)
	assert.True(t, slices.IsSorted(rclone))
	assert.False(t, slices.IsSorted(service))
}

func TestScaleDividesWhatMakesACorpusLarge(t *testing.T) {
	for _, c := range Corpora() {
		s := c.At(16)
		if c.Many {
			assert.Equal(t, c.Files/16, s.Files, c.Name)
			assert.Equal(t, c.Size, s.Size, c.Name)
		} else {
			assert.Equal(t, c.Files, s.Files, c.Name)
			assert.Equal(t, c.Bytes()/16, s.Bytes(), c.Name)
			assert.Equal(t, c.Largest()/16, s.Largest(), c.Name)
		}
		spec, err := fakecorpus.ParseSpec(s.Spec())
		require.NoError(t, err, c.Name)
		tree, err := fakecorpus.New(spec, 1)
		require.NoError(t, err, c.Name)
		assert.Equal(t, s.Files, tree.Stats().Files, c.Name)
		assert.Equal(t, s.Bytes(), tree.Stats().Bytes, c.Name)
	}
	assert.Equal(t, "v2.4.1-single-worker--deep-tree", slug("v2.4.1-single-worker")+"--deep-tree")
	assert.Equal(t, filepath.Base(slug("bigger node: twice of all")), "bigger-node-twice-of-all")
}

func TestALineIsExtrapolatedWithItsInterval(t *testing.T) {
	y, half, err := extrapolate([]float64{1, 2, 3}, []float64{12, 14, 16}, 100)
	require.NoError(t, err)
	assert.InDelta(t, 210, y, 1e-9)
	assert.InDelta(t, 0, half, 1e-9)
	y, half, err = extrapolate([]float64{1, 2, 3, 4}, []float64{12, 14.2, 15.8, 18}, 5)
	require.NoError(t, err)
	assert.InDelta(t, 19.9, y, 1e-9)
	assert.InDelta(t, 1.291, half, 0.001, "t of 2 degrees of freedom, 4.303, times the error of a single value")
	_, _, err = extrapolate([]float64{1, 1, 1}, []float64{1, 2, 3}, 5)
	assert.ErrorIs(t, err, errTooFew)
	_, _, err = extrapolate([]float64{1, 2}, []float64{1, 2}, 5)
	assert.ErrorIs(t, err, errTooFew)
}
