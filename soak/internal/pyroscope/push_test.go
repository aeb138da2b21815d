package pyroscope

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	"github.com/memsoak/memsoak/soak/internal/drawn"
	"github.com/memsoak/memsoak/soak/internal/pyroscope/pyrotest"
)

// clock is time that only waiting moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) wait(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}

type rig struct {
	t      *testing.T
	server *pyrotest.Server
	client *Client
	clock  *clock
	dir    string
	run    *record.Run
}

var start = time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC)

func newRig(t *testing.T, o drawn.Options) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{now: start.Add(30 * time.Minute)}, dir: filepath.Join(t.TempDir(), "run")}
	o.Start = start
	if o.Axes == nil {
		o.Axes = drawn.Small()
	}
	var err error
	r.run, err = drawn.Write(r.dir, o)
	require.NoError(t, err)
	r.server = &pyrotest.Server{Now: r.clock.time}
	srv := httptest.NewServer(r.server)
	t.Cleanup(srv.Close)
	r.client, err = NewClient(srv.URL)
	require.NoError(t, err)
	r.client.wait = r.clock.wait
	return r
}

// push pushes the whole run as a process of its own would.
func (r *rig) push() (Result, error) {
	r.t.Helper()
	p, err := NewPusher(r.client, r.dir, Shown{})
	require.NoError(r.t, err)
	defer p.Close()
	err = p.Run(r.t.Context())
	return p.Result(), err
}

// expected are the profiles that a push of the run has to store.
func (r *rig) expected() map[string]item {
	out := map[string]item{}
	for _, st := range r.run.Status {
		dir := st.Dir + "/trial-1"
		t, err := record.ReadTrial(filepath.Join(r.dir, filepath.FromSlash(dir)))
		require.NoError(r.t, err)
		for _, it := range items(r.run, r.dir, dir, t) {
			out[it.key] = it
		}
	}
	return out
}

// once fails unless every profile that is to be stored is stored exactly once.
func (r *rig) once() {
	r.t.Helper()
	seen := map[string]int{}
	for _, s := range r.server.Profiles() {
		seen[seriesName(s.Service, nil)+fmt.Sprint(s.Labels)+s.Time.String()+s.Profile.SampleType[0].Type]++
	}
	assert.Len(r.t, seen, len(r.expected()))
	for k, n := range seen {
		assert.Equal(r.t, 1, n, k)
	}
}

// The figure asked for: 500 profiles against bursts answered by 429, each stored exactly once.
func Test500ProfilesWithBurstsAreStoredExactlyOnce(t *testing.T) {
	r := newRig(t, drawn.Options{Axes: []record.Axis{{Name: "workers", Values: []string{"1", "3", "4", "5", "6", "7",
		"8", "9", "10", "11"}}}})
	r.server.RejectOlderThan = -1
	r.server.Rate, r.server.Burst = 4_000, 12_000 // the server's 4 MB/s and 2 MB, as small as these profiles
	want := r.expected()
	require.GreaterOrEqual(t, len(want), 500)
	res, err := r.push()
	require.NoError(t, err)
	t.Logf("%d profiles, %d answered by 429, %d retries", res.Stored, r.server.Limited(), res.Retries)
	assert.Equal(t, len(want), res.Stored)
	assert.Empty(t, res.Problems)
	assert.Greater(t, r.server.Limited(), 50, "the bursts were answered by 429")
	r.once()
	again, err := r.push()
	require.NoError(t, err)
	assert.Equal(t, len(want), again.Already)
	assert.Zero(t, again.Stored)
	r.once()
}

// An answer that is lost is no reason to send again: the server is asked.
func TestLostAnswersAreSettledByAsking(t *testing.T) {
	for _, how := range []string{"drop", "500", "before"} {
		r := newRig(t, drawn.Options{})
		r.server.Lose = func(n int) string {
			if n%7 == 3 {
				return how
			}
			return ""
		}
		res, err := r.push()
		require.NoError(t, err, how)
		assert.Equal(t, len(r.expected()), res.Stored, how)
		r.once()
	}
}

// A push that died while sending continues where it was, whether or not the server has the profile.
func TestInterruptedPushGoesOn(t *testing.T) {
	r := newRig(t, drawn.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	r.server.Lose = func(n int) string {
		if n == 20 {
			cancel()
			return "drop"
		}
		return ""
	}
	p, err := NewPusher(r.client, r.dir, Shown{})
	require.NoError(t, err)
	require.Error(t, p.Run(ctx))
	require.NoError(t, p.Close())
	f, err := os.OpenFile(filepath.Join(r.dir, JournalFile), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"time":"2026-`) // as a kill in the middle of a write leaves it
	require.NoError(t, err)
	require.NoError(t, f.Close())
	res, err := r.push()
	require.NoError(t, err)
	assert.Equal(t, len(r.expected()), res.Stored+res.Already)
	assert.GreaterOrEqual(t, res.Already, 20-atOnce, "what was stored before isn't sent again")
	r.once()
}

func TestTwoPushesAtOnceAreRefused(t *testing.T) {
	r := newRig(t, drawn.Options{})
	p, err := NewPusher(r.client, r.dir, Shown{})
	require.NoError(t, err)
	defer p.Close()
	_, err = NewPusher(r.client, r.dir, Shown{})
	assert.ErrorContains(t, err, "in use by another push")
}

// A trial's service has one heap profile, the peak, and each phase and floor a service of its own: no range of time
// makes a flame graph sum two.
func TestEveryServiceHoldsOneProfileOfEachKind(t *testing.T) {
	r := newRig(t, drawn.Options{})
	_, err := r.push()
	require.NoError(t, err)
	perService := map[string]int{}
	for _, s := range r.server.Profiles() {
		perService[s.Service+" "+s.Profile.SampleType[0].Type]++
	}
	for k, n := range perService {
		assert.Equal(t, 1, n, "%s: a flame graph of its whole time would sum %d profiles", k, n)
	}
	tr, err := record.ReadTrial(filepath.Join(r.dir, filepath.FromSlash(r.run.Status[2].Dir), "trial-1"))
	require.NoError(t, err)
	name := "memsoak.uploader.w50.m1800MiB.p40." + shortID(r.run.ID) + ".t1"
	views := map[string]int{}
	for _, s := range r.server.Profiles() {
		if !strings.HasPrefix(s.Service, name) || s.Profile.SampleType[0].Type == "goroutine" {
			continue
		}
		views[s.Labels["view"]]++
		phase := s.Labels["phase"]
		assert.Equal(t, map[string]string{"run_id": r.run.ID, "cell": "gomemlimit=1800MiB pool=40 workers=50",
			"trial": "attribution-1", "view": s.Labels["view"],
			"phase": phase, "workers": "50", "gomemlimit": "1800MiB", "gogc": "100", "pool": "40", "service_git_ref": "4f1c2d9"},
			s.Labels)
		assert.True(t, slices.ContainsFunc(tr.Snapshots, func(n record.Snapshot) bool {
			return n.Phase == phase &&
				n.Time.Equal(s.Time)
		}),
			"a snapshot of phase %s at the recorded time", phase)
	}
	assert.Equal(t, 1, views["peak"])
	assert.Positive(t, views["floor"])
	assert.Positive(t, views["phase"])
}

// Two cells that differ in any axis, two repeats and two runs of an hour have services of their own.
func TestServicesOfDifferentTrialsDiffer(t *testing.T) {
	run := &record.Run{ID: "20261123-180452-9d1e35", Subject: "migrator"}
	seen := map[string]bool{}
	for _, c := range []record.Cell{{"workers": "8"}, {"workers": "8", "gogc": "50"}, {"workers": "8",
		"discovery_workers": "2"},
		{"workers": "8", "discovery_workers": "4"}, {"gogc": "8"}} {
		for trial := range 2 {
			seen[Service(run, c, trial+1)] = true
		}
	}
	again := *run
	again.ID = "20261123-181652-77aa01"
	seen[Service(&again, record.Cell{"workers": "8"}, 1)] = true
	assert.Len(t, seen, 11)
	assert.True(t, seen["memsoak.migrator.w8.discovery_workers-4.9d1e35.t2"], "%v", seen)
}

// A goroutine without a stack is sent with a frame that says so: a server drops a sample without frames.
func TestSamplesWithoutAStackAreCounted(t *testing.T) {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "goroutine", Unit: "count"}},
		Sample: []*profile.Sample{{Value: []int64{3}}, {Value: []int64{2}}}}
	nameless(p)
	require.NoError(t, p.CheckValid())
	assert.EqualValues(t, 5, total(p, "goroutine"))
	assert.Equal(t, "(no stack)", p.Sample[1].Location[0].Line[0].Function.Name)
}

// A run of several days is asked for in ranges that a server takes.
func TestLongRunsAreAskedForInParts(t *testing.T) {
	r := newRig(t, drawn.Options{})
	r.run.Ended = r.run.Started.Add(75 * time.Hour)
	_, err := r.client.servicesOf(t.Context(), r.run)
	require.NoError(t, err)
}

// A run that another machine has pushed, whose journal is not here, isn't stored a second time.
func TestPushWithoutItsJournalStoresNothingTwice(t *testing.T) {
	r := newRig(t, drawn.Options{})
	_, err := r.push()
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(r.dir, JournalFile)))
	res, err := r.push()
	require.NoError(t, err)
	assert.Zero(t, res.Stored)
	assert.Equal(t, len(r.expected()), res.Already)
	r.once()
}

// A server that finds nothing older than the oldest profile that it remembers is not believed when it finds nothing.
func TestAServerThatDoesNotFindWhatItHasIsWaitedFor(t *testing.T) {
	for _, journal := range []bool{true, false} {
		r := newRig(t, drawn.Options{})
		r.server.Remember = time.Minute
		ctx, cut := context.WithCancel(t.Context())
		p, err := NewPusher(r.client, r.dir, Shown{})
		require.NoError(t, err)
		r.server.Lose = func(n int) string {
			if n == 40 {
				cut()
			}
			return map[bool]string{true: "drop"}[n == 40]
		}
		require.ErrorIs(t, p.Run(ctx), context.Canceled)
		require.NoError(t, p.Close())
		r.server.Lose = nil
		if !journal {
			require.NoError(t, os.Remove(filepath.Join(r.dir, JournalFile)))
		}
		_, err = r.push()
		require.NoError(t, err)
		r.once()
	}
}

// Types that count from the start of the process are sent as differences from phase to phase, so that their sum over
// the phases of a trial is the last total, where the profiles as recorded would add up to many times that; the peak has
// all that was allocated up to it. Live bytes are sent as they are.
func TestCumulativeTypesAreSentAsDifferences(t *testing.T) {
	r := newRig(t, drawn.Options{})
	_, err := r.push()
	require.NoError(t, err)
	dir := r.run.Status[1].Dir + "/trial-1"
	tr, err := record.ReadTrial(filepath.Join(r.dir, filepath.FromSlash(dir)))
	require.NoError(t, err)
	var sum, alone, peak int64
	live := map[time.Time]int64{}
	for _, s := range r.server.Profiles() {
		if !strings.HasPrefix(s.Service, "memsoak.uploader.w10.m1800MiB.p40.") {
			continue
		}
		if l := total(s.Profile, "inuse_space"); l > 0 {
			live[s.Time.UTC()] = l
		}
		if s.Labels["view"] == string(viewPeak) {
			peak += total(s.Profile, "alloc_space")
			continue
		}
		sum += total(s.Profile, "alloc_space")
	}
	for _, s := range tr.Snapshots {
		p := recorded(t, filepath.Join(r.dir, filepath.FromSlash(dir), filepath.FromSlash(s.Heap)))
		alone += total(p, "alloc_space")
		if l, sent := live[s.Time.UTC()]; sent {
			assert.Equal(t, total(p, "inuse_space"), l)
		}
	}
	assert.Less(t, sum, alone/3)
	assert.Positive(t, sum)
	assert.Positive(t, peak)
}

func recorded(t *testing.T, path string) *profile.Profile {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	p, err := profile.ParseData(b)
	require.NoError(t, err)
	return p
}

// What a subject's pprof handler allocated for memsoak's readings is on no flame graph; work below pprof.Do is.
func TestReadingsOfProfilesAreNotSent(t *testing.T) {
	r := newRig(t, drawn.Options{})
	var heap item
	for _, it := range r.expected() {
		if it.kind == record.HeapDir && it.before == "" && (heap.path == "" || it.path < heap.path) {
			heap = it
		}
	}
	p := recorded(t, heap.path)
	want := total(p, "alloc_space")
	for _, fn := range []string{"net/http/pprof.handler.ServeHTTP", "runtime/pprof.Do"} {
		f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: fn, SystemName: fn}
		l := &profile.Location{ID: uint64(len(p.Location) + 1), Address: 1, Line: []profile.Line{{Function: f, Line: 1}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		s := &profile.Sample{Location: []*profile.Location{l}, Value: make([]int64, len(p.SampleType))}
		for i := range s.Value {
			s.Value[i] = 1 << 20
		}
		p.Sample = append(p.Sample, s)
	}
	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	require.NoError(t, os.WriteFile(heap.path, b.Bytes(), 0o644))
	sent, err := heap.read(r.dir)
	require.NoError(t, err)
	assert.Equal(t, want+1<<20, total(sent, "alloc_space"))
	for _, s := range sent.Sample {
		for _, l := range s.Location {
			assert.NotEqual(t, "net/http/pprof.handler.ServeHTTP", l.Line[0].Function.Name)
		}
	}
}

func TestSinceBeforeTakesTheDifferencePerStack(t *testing.T) {
	mk := func(alloc, inuse int64) *profile.Profile {
		f := &profile.Function{ID: 1, Name: "f", SystemName: "f", Filename: "f.go"}
		l := &profile.Location{ID: 1, Address: 16, Line: []profile.Line{{Function: f, Line: 3}}}
		return &profile.Profile{PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
			SampleType: []*profile.ValueType{{Type: "alloc_space", Unit: "bytes"}, {Type: "inuse_space", Unit: "bytes"}},
			Sample:     []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{alloc, inuse}}},
			Location:   []*profile.Location{l}, Function: []*profile.Function{f}}
	}
	d, err := sinceBefore(mk(100, 7), mk(60, 9))
	require.NoError(t, err)
	require.Len(t, d.Sample, 1)
	assert.Equal(t, []int64{40, 7}, d.Sample[0].Value)
	d, err = sinceBefore(mk(60, 0), mk(60, 9))
	require.NoError(t, err)
	assert.Empty(t, d.Sample, "nothing new and nothing live")
}

func TestOldProfilesAreAProblemWithAWayOut(t *testing.T) {
	r := newRig(t, drawn.Options{})
	r.clock.now = start.Add(5 * time.Hour)
	res, err := r.push()
	require.NoError(t, err)
	assert.Zero(t, res.Stored)
	assert.Len(t, res.Problems, len(r.expected()))
	assert.Contains(t, res.Problems[0], "validation.reject-older-than=0")
	r.server.RejectOlderThan = -1
	res, err = r.push()
	require.NoError(t, err)
	assert.Equal(t, len(r.expected()), res.Stored, "what was refused is sent by a later push")
	r.once()
}

func TestHostileNamesBecomePlain(t *testing.T) {
	r := newRig(t, drawn.Options{Hostile: true})
	res, err := r.push()
	require.NoError(t, err)
	assert.Empty(t, res.Problems)
	for _, s := range r.server.Profiles() {
		for _, v := range append([]string{s.Service}, values(s.Labels)...) {
			assert.NotRegexp(t, `[^A-Za-z0-9 =._:;/+@-]`, v)
		}
	}
}

func values(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func TestProfilesLargerThanTheServerTakesLoseTheirSmallestSamples(t *testing.T) {
	p := &profile.Profile{PeriodType: &profile.ValueType{Type: "space", Unit: "bytes"},
		SampleType: []*profile.ValueType{{Type: "inuse_space", Unit: "bytes"}}}
	for i := range 20_000 {
		f := &profile.Function{ID: uint64(i + 1), Name: fmt.Sprintf("%s%d", strings.Repeat("long", 100), i), Filename: "f.go"}
		l := &profile.Location{ID: f.ID, Address: f.ID, Line: []profile.Line{{Function: f, Line: 1}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{int64(i)}})
	}
	prune(p, maxSamples)
	assert.Len(t, p.Sample, maxSamples)
	b, err := encode(p)
	require.NoError(t, err)
	back, err := profile.ParseData(b)
	require.NoError(t, err)
	var raw bytes.Buffer
	require.NoError(t, back.WriteUncompressed(&raw))
	assert.LessOrEqual(t, raw.Len(), maxBytes)
	assert.EqualValues(t, 19_999, back.Sample[0].Value[0], "the largest stays")
}

func TestCheckReadsTheSameTotalsBack(t *testing.T) {
	r := newRig(t, drawn.Options{})
	_, err := r.push()
	require.NoError(t, err)
	p, err := NewPusher(r.client, r.dir, Shown{})
	require.NoError(t, err)
	defer p.Close()
	n, bad, err := p.Check(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, len(r.expected()), n)
	assert.Empty(t, bad)
	// A server that has one of them twice is found out.
	for k, it := range r.expected() {
		if it.kind == record.HeapDir {
			prof, err := it.read(r.dir)
			require.NoError(t, err)
			body, err := encode(prof)
			require.NoError(t, err)
			require.NoError(t, r.client.ingest(t.Context(), it, body))
			_, bad, err = p.Check(t.Context(), 0)
			require.NoError(t, err)
			require.NotEmpty(t, bad)
			assert.Equal(t, k, bad[0].Profile)
			assert.Equal(t, 2*bad[0].Want, bad[0].Got)
			return
		}
	}
}

func TestServerThatIsAwayIsAnError(t *testing.T) {
	r := newRig(t, drawn.Options{})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	c, err := NewClient(gone.URL)
	require.NoError(t, err)
	c.wait = r.clock.wait
	r.client = c
	_, err = r.push()
	assert.ErrorContains(t, err, "no Pyroscope server answers at "+gone.URL)
	for _, bad := range []string{"", "localhost:4040", "ftp://x", "http://"} {
		_, err := NewClient(bad)
		assert.Error(t, err, bad)
	}
}

// The profile variable of the cell's dashboard offers every trial, phase and floor that is sent, and its panel selects
// one service.
func TestDashboardOffersWhatIsSent(t *testing.T) {
	b, err := os.ReadFile("../../../dashboards/grafana/dashboards/soak-cell.json")
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			Targets []struct{ ProfileTypeID, LabelSelector string }
		}
		Templating struct {
			List []struct{ Name, Regex string }
		}
	}
	require.NoError(t, json.Unmarshal(b, &board))
	var pattern string
	for _, v := range board.Templating.List {
		if v.Name == "service" {
			pattern = strings.Trim(v.Regex, "/")
		}
	}
	require.NotEmpty(t, pattern)
	r := newRig(t, drawn.Options{})
	_, err = r.push()
	require.NoError(t, err)
	for _, it := range r.expected() {
		assert.Regexp(t, pattern, it.service)
	}
	assert.NotRegexp(t, pattern, "memsoak.migrator.w8.p40", "continuous profiles of a migrator")
	found := 0
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			if q.LabelSelector != "" {
				found++
				assert.Equal(t, `{service_name="$service"}`, q.LabelSelector)
				assert.Equal(t, typeOf(record.HeapDir, "inuse_space")[0], q.ProfileTypeID)
			}
		}
	}
	assert.Equal(t, 1, found)
}
