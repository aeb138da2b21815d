package profiles

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/internal/series"
	"github.com/memsoak/memsoak/profiles/internal/threshold"
	"github.com/memsoak/memsoak/profiles/record"
)

// production records what a service in production leaves behind: a heap profile every ten minutes under load, with the
// work done so far in a table.
func production(t *testing.T, s *subject, n int, rest bool) (files []string, table string) {
	t.Helper()
	l := newLab(t, s, 8, 7)
	dir := t.TempDir()
	l.phase("free", false)
	var rows strings.Builder
	rows.WriteString("file,files_done,distinct,bytes_done,in_flight,backlog\n")
	for i := range n {
		l.finish(300, 64<<10, rest && i%4 == 3)
		l.now = l.start.Add(time.Duration(i) * 10 * time.Minute)
		l.cov.InFlight, l.cov.ConnsOpen, l.cov.BytesInFlight = 8, 16, 8*64<<10
		if rest {
			l.cov.InFlight, l.cov.ConnsOpen, l.cov.BytesInFlight = 0, 0, 0
		}
		l.snap(record.StateFree, 0)
		path := filepath.Join(dir, fmt.Sprintf("heap.%02d.pb.gz", i))
		writeProfile(t, path, l.heaps[i])
		files = append(files, path)
		fmt.Fprintf(&rows, "%s,%d,%d,%d,%d,%d\n", filepath.Base(path), l.cov.FilesDone, l.cov.Distinct, l.cov.BytesDone,
			l.cov.InFlight, 0)
	}
	return files, rows.String()
}

func TestPlainProfilesAloneSuspectAndSayWhatWouldDecide(t *testing.T) {
	files, _ := production(t, newSubject(faults[2].make), 12, false)
	v, err := DiagnoseFiles(files, nil, Options{})
	require.NoError(t, err)
	assert.Equal(t, record.Inconclusive, v.Headline)
	require.NotEmpty(t, v.Findings)
	f := v.Findings[0]
	assert.Equal(t, "app/reg.keep", f.Site.Function)
	assert.LessOrEqual(t, f.Confidence, threshold.PassiveTrust)
	assert.InEpsilon(t, 4096*300/600.0, f.Slope.Bytes, 0.1, "bytes per second")
	require.NotNil(t, v.Growth)
	assert.Equal(t, record.Found, v.Growth.Total.State)
	assert.Contains(t, v.Growth.Command, "soak record --pprof")
}

func TestPlainProfilesOfASteadyServiceSuspectNothing(t *testing.T) {
	files, _ := production(t, newSubject(faults[0].make), 12, false)
	v, err := DiagnoseFiles(files, nil, Options{})
	require.NoError(t, err)
	assert.Equal(t, record.Inconclusive, v.Headline, "without floors healthy is not proved")
	assert.Empty(t, v.Findings)
	assert.Equal(t, record.Excluded, v.Growth.Total.State)
	assert.Positive(t, v.Growth.Total.Limit)
}

func TestPlainProfilesWithFloorsInTheTableAreJudged(t *testing.T) {
	files, table := production(t, newSubject(faults[2].make), 12, true)
	v, err := DiagnoseFiles(files, strings.NewReader(table), Options{})
	require.NoError(t, err)
	assert.Equal(t, record.HeadLeak, v.Headline)
	assert.Equal(t, "file", v.Findings[0].Slope.Per)
	assert.InEpsilon(t, 4096, v.Findings[0].Slope.Bytes, 0.1)
}

func TestPlainProfilesAreTakenInTheOrderOfTheirTimes(t *testing.T) {
	files, table := production(t, newSubject(faults[2].make), 12, true)
	want, err := DiagnoseFiles(files, strings.NewReader(table), Options{})
	require.NoError(t, err)
	slices.Reverse(files)
	got, err := DiagnoseFiles(files, strings.NewReader(table), Options{})
	require.NoError(t, err)
	assert.Equal(t, want.Findings[0].Slope, got.Findings[0].Slope)
	assert.Contains(t, strings.Join(got.Warnings, "\n"), "order")
}

func TestCovariatesAreCheckedWithTheLine(t *testing.T) {
	files, _ := production(t, newSubject(faults[0].make), 1, false)
	for table, says := range map[string]string{
		"":                            "header",
		"in_flight\n1\n":              `"file" or "time"`,
		"file,inflight\nx,1\n":        `unknown column "inflight"`,
		"file,in_flight\nx,1\ny,no\n": "line 3",
		"time,in_flight\nyesterday,1": "line 2",
		"file,in_flight\nx\n":         "wrong number of fields",
	} {
		_, err := DiagnoseFiles(files, strings.NewReader(table), Options{})
		require.ErrorContains(t, err, says, "%q", table)
	}
}

func TestNoProfilesIsAnError(t *testing.T) {
	_, err := DiagnoseFiles([]string{filepath.Join(t.TempDir(), "gone.pb.gz")}, nil, Options{})
	require.ErrorIs(t, err, series.ErrNoProfiles)
}
