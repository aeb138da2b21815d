package profiles

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

// Golden verdicts of reduced recordings: what a change of a rule does to real trials, in seconds.
//
//	go test ./profiles -run Golden -update                       writes the goldens again and lists what changed
//	go test ./profiles -run Golden -update -accept-comfort       also where a fault became healthy
//
// A golden is what the rules say today. What they should say is in right.json, with a reason where the two differ.
var (
	update        = flag.Bool("update", false, "write the golden verdicts again")
	acceptComfort = flag.Bool("accept-comfort", false, "let -update turn a fault into healthy")
)

// golden is what of a verdict a change of a rule must not change unseen.
type golden struct {
	Headline   record.Headline `json:"headline"`
	Findings   []string        `json:"findings"`
	Hypotheses []string        `json:"hypotheses"` // those that are not excluded
}

func goldenOf(v *record.Verdict) golden {
	g := golden{Headline: v.Headline, Findings: []string{}, Hypotheses: []string{}}
	for _, f := range v.Findings {
		per := ""
		if f.Slope != nil {
			per = fmt.Sprintf(" %.2g per %s", f.Slope.Bytes, f.Slope.Per)
		}
		g.Findings = append(g.Findings, fmt.Sprintf("%s %s%s", f.Class, f.Site.Function, per))
	}
	for _, h := range v.Hypotheses {
		if h.State != record.Excluded {
			g.Hypotheses = append(g.Hypotheses, fmt.Sprintf("%s %s per %s", h.State, h.Class, h.Per))
		}
	}
	return g
}

// right is the right verdict of a recording, known from the subject's source.
type right struct {
	// Of is the specimen, or the subject, and Under the special condition of the trial.
	Of    string `json:"of"`
	Under string `json:"under,omitempty"`
	// Headline is the cell's verdict; Class and Function are the finding's, empty where none is named.
	Headline record.Headline `json:"headline"`
	Class    record.Class    `json:"class,omitempty"`
	Function string          `json:"function,omitempty"` // its end
	// KnownWrong names the error in the golden. It has to go when the rules give the right answer.
	KnownWrong string `json:"known_wrong,omitempty"`
}

// grade is how a verdict stands beside the right one.
type grade string

const (
	isRight      grade = "right"
	isOpen       grade = "inconclusive" // honest, and no comfort
	wrongComfort grade = "wrong comfort"
	wrongAlarm   grade = "wrong alarm"
	isMisnamed   grade = "misnamed"
)

func (r right) of(v *record.Verdict) grade {
	switch {
	case v.Headline == record.Healthy && r.Headline != record.Healthy:
		return wrongComfort
	case r.Headline == record.Healthy && !onlySuspected(v) && slices.ContainsFunc(v.Findings, byItsNature):
		return wrongAlarm
	case v.Headline == record.Inconclusive && r.Headline != record.Inconclusive:
		return isOpen
	case v.Headline != r.Headline:
		return isMisnamed
	case r.Class == "":
		return isRight
	case !slices.ContainsFunc(v.Findings, r.names), costs.KindOf(v.Findings[0]) != "" && !r.names(v.Findings[0]):
		return isMisnamed
	}
	return isRight
}

// onlySuspected reports whether a verdict's findings are suspects: nothing was held, and it is inconclusive.
func onlySuspected(v *record.Verdict) bool { return v.Headline == record.Inconclusive }

// byItsNature reports whether a finding is a fault however small it is today.
func byItsNature(f record.Finding) bool { return costs.KindOf(f) != "" }

func (r right) names(f record.Finding) bool {
	return f.Class == r.Class && strings.HasSuffix(f.Site.Function, r.Function)
}

// comforts reports whether a verdict is healthy where a fault was found before, or where there is one.
func comforts(was, is golden, r right) bool {
	fault := func(h record.Headline) bool { return h != record.Healthy && h != record.Inconclusive && h != "" }
	return is.Headline == record.Healthy && (fault(was.Headline) || fault(r.Headline))
}

func readRight(t testing.TB) map[string]right {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(recordings, "right.json"))
	require.NoError(t, err)
	out := map[string]right{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&out))
	return out
}

// recorded are the names of the reduced recordings.
func recorded(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(recordings, "*.json.gz"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for i, path := range files {
		files[i] = strings.TrimSuffix(filepath.Base(path), ".json.gz")
	}
	return files
}

func TestGoldenVerdictsOfRecordings(t *testing.T) {
	names, all := recorded(t), readRight(t)
	var mu sync.Mutex
	counts, under := map[grade]int{}, 0
	t.Run("all", func(t *testing.T) {
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r, ok := all[name]
				require.True(t, ok, "right.json has no right verdict of %s", name)
				s, err := readReduced(t, filepath.Join(recordings, name+".json.gz")).series()
				require.NoError(t, err)
				v := diagnose(s, Options{})
				keepsToMeasurements(t, s, v)
				checkGolden(t, filepath.Join(recordings, name+".golden.json"), goldenOf(v), r)
				x := r.of(v)
				known := x == isRight || x == isOpen
				assert.Equal(t, known, r.KnownWrong == "",
					"it is %s; right.json says what is known to be wrong: %q", x, r.KnownWrong)
				mu.Lock()
				defer mu.Unlock()
				if counts[x]++; r.Under != "" {
					under++
				}
			})
		}
	})
	var total int64
	for _, name := range names {
		st, err := os.Stat(filepath.Join(recordings, name+".json.gz"))
		require.NoError(t, err)
		total += st.Size()
	}
	t.Logf("%d recordings, %d of them awkward, %d KiB: %v", len(names), under, total>>10, counts)
	assert.LessOrEqual(t, total, int64(reducedTotal))
	assert.Len(t, all, len(names), "right.json has verdicts of no recording")
}

func checkGolden(t *testing.T, path string, is golden, r right) {
	var was golden
	b, err := os.ReadFile(path)
	if err == nil {
		require.NoError(t, json.Unmarshal(b, &was))
	}
	if !*update {
		require.NoError(t, err)
		assert.Equal(t, was, is)
		return
	}
	if was.Headline != is.Headline {
		t.Logf("headline: %s, now %s", cmp.Or(was.Headline, "none"), is.Headline)
	}
	refused := comforts(was, is, r) && was.Headline != record.Healthy && !*acceptComfort
	require.False(t, refused, "%s became healthy; -accept-comfort if that is right", cmp.Or(was.Headline, r.Headline))
	require.NoError(t, record.Write(path, is))
}

func TestComfortIsRefused(t *testing.T) {
	of := func(h record.Headline) golden { return golden{Headline: h} }
	assert.True(t, comforts(of(record.HeadLeak), of(record.Healthy), right{Headline: record.Healthy}))
	assert.True(t, comforts(of(record.Inconclusive), of(record.Healthy), right{Headline: record.HeadLeak}))
	assert.True(t, comforts(golden{}, of(record.Healthy), right{Headline: record.HeadLeak}), "a new recording")
	assert.False(t, comforts(of(record.Inconclusive), of(record.Healthy), right{Headline: record.Healthy}))
	assert.False(t, comforts(of(record.Healthy), of(record.HeadLeak), right{Headline: record.HeadLeak}))
}

func verdictOf(h record.Headline, fs ...record.Finding) record.Verdict {
	return record.Verdict{Headline: h, Findings: fs}
}

func TestAVerdictStandsBesideTheRightOne(t *testing.T) {
	leak := record.Finding{Class: record.Leak, Site: record.Site{Function: "app/reg.keep"}}
	pool := record.Finding{Class: record.BufferPool, Site: record.Site{Function: "app/reg.keep"}}
	fault := right{Headline: record.HeadLeak, Class: record.Leak, Function: "reg.keep"}
	for _, c := range []struct {
		r    right
		v    record.Verdict
		want grade
	}{
		{fault, record.Verdict{Headline: record.HeadLeak, Findings: []record.Finding{leak, pool}}, isRight},
		{fault, record.Verdict{Headline: record.HeadLeak, Findings: []record.Finding{pool}}, isMisnamed},
		{fault, record.Verdict{Headline: record.HeadMetadata, Findings: []record.Finding{leak}}, isMisnamed},
		{fault, record.Verdict{Headline: record.Inconclusive}, isOpen},
		{fault, record.Verdict{Headline: record.Healthy}, wrongComfort},
		{right{Headline: record.Inconclusive}, record.Verdict{Headline: record.Healthy}, wrongComfort},
		{right{Headline: record.Healthy}, verdictOf(record.Healthy, pool), isRight},
		{right{Headline: record.Healthy}, verdictOf(record.HeadLeak, leak), wrongAlarm},
	} {
		assert.Equal(t, c.want, c.r.of(&c.v))
	}
}
