package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/growth"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/recordings"
)

var updateRecordings = flag.Bool("update-recordings", false, "write what the recordings are judged as")

const (
	recordingsDir = "testdata/recordings"
	// screenLines is how many lines are on the first screen of a terminal.
	screenLines = 24
	// grewBy is the growth from which a culprit has to be on the first screen.
	grewBy = 3 << 20
	// stay is how many goroutines that remain have to be found.
	stay = 50
)

// judged is a recording with what the first screen says of it.
type judged struct {
	recordings.Recording
	result recordings.Result
	g      *record.Growth
	line   int // of the culprit on the first screen; 0: not there
}

func judgeRecordings(t *testing.T) []judged {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recordingsDir, recordings.ResultsFile))
	require.NoError(t, err)
	var results []recordings.Result
	require.NoError(t, json.Unmarshal(text, &results))
	var all []judged
	for _, r := range recordings.All() {
		i := slices.IndexFunc(results, func(x recordings.Result) bool { return x.Name == r.Name })
		require.GreaterOrEqual(t, i, 0, "%s has no result: make recordings", r.Name)
		f, err := os.Open(filepath.Join(recordingsDir, r.Name+recordings.Suffix))
		require.NoError(t, err)
		s, err := growth.ReadSeries(f)
		f.Close()
		require.NoError(t, err, r.Name)
		j := judged{Recording: r, result: results[i], g: growth.Judge(s, "")}
		var out bytes.Buffer
		writeGrowth(&out, j.g)
		j.line = suspected(out.String(), r.Culprit)
		all = append(all, j)
	}
	return all
}

// suspected is the line of the first screen, among the suspects or the goroutines that became more, that has the
// culprit.
func suspected(text, culprit string) int {
	among := false
	for i, line := range strings.Split(text, "\n")[:min(screenLines, strings.Count(text, "\n")+1)] {
		switch {
		case strings.HasPrefix(line, "Suspects") || strings.HasPrefix(line, "Goroutines that became more"):
			among = true
		case line == "":
			among = false
		case among && culprit != "" && strings.Contains(line, culprit):
			return i + 1
		}
	}
	return 0
}

// alarm is a finding that is sure of a recording.
func (j *judged) alarm() (sure []string) {
	if j.g.Total.State == record.Found {
		sure = append(sure, "total")
	}
	for _, c := range j.g.Causes {
		if c.State == record.Found {
			sure = append(sure, c.Site.Function)
		}
	}
	for _, r := range j.g.Routines {
		if r.State == record.Found {
			sure = append(sure, string(r.Class)+" "+r.Root)
		}
	}
	if h := j.result.Headline; h != record.Inconclusive.String() && h != record.Healthy.String() {
		sure = append(sure, "headline "+h)
	}
	return sure
}

// routines is by how many the group of goroutines with the culprit grew, and whether it was found.
func (j *judged) routines() (more float64, found bool) {
	for _, list := range [][]record.RoutineGrowth{j.g.Routines, j.g.Resting} {
		for _, r := range list {
			if strings.Contains(r.Root+r.Creator+r.At.Function, j.Culprit) && r.Grew() > more {
				more, found = r.Grew(), r.State == record.Found
			}
		}
	}
	return more, found
}

// wrongClass is a class that is said to be sure of something else than the kind of the recording: goroutines where none
// stay, or connections for goroutines and the other way round, but for those of the server at the other end, in the
// same process. The headline counts as well.
func (j *judged) wrongClass() string {
	for _, r := range j.g.Routines {
		switch {
		case r.State != record.Found:
		case j.Kind == recordings.Heap,
			r.Class == record.ConnectionLeak && j.Kind != recordings.Connections,
			r.Class == record.GoroutineLeak && j.Kind == recordings.Connections && !strings.HasPrefix(r.Root, "net/http"):
			return string(r.Class)
		}
	}
	if h := j.result.Headline; h != record.Inconclusive.String() && h != record.HeadLeak.String() {
		return h
	}
	return ""
}

// sets are judged apart, each in a column.
var sets = []struct {
	name string
	has  func(recordings.Recording) bool
}{
	{"60 s", func(r recordings.Recording) bool { return r.For == recordings.Short && !r.Fresh }},
	{"600 s", func(r recordings.Recording) bool { return r.For == recordings.Long }},
	{"60 s, fresh", func(r recordings.Recording) bool { return r.Fresh }},
}

// figures are those asked for, of one set.
type figures struct {
	recorded, leaks, alikes            int
	grew, named, wrong, alarms         int
	routines, routinesFound, heapFound int
}

// tally counts the recordings of a set.
func tally(all []judged, has func(recordings.Recording) bool) (f figures) {
	for i := range all {
		j := &all[i]
		if !has(j.Recording) {
			continue
		}
		f.recorded++
		if j.wrongClass() != "" {
			f.wrong++
		}
		switch {
		case j.Kind == recordings.Alike:
			f.alikes++
			if len(j.alarm()) > 0 {
				f.alarms++
			}
		case j.Kind == recordings.Heap:
			f.leaks++
			f.heap(j)
		default:
			f.leaks++
			if more, found := j.routines(); more >= stay {
				f.routines++
				if found {
					f.routinesFound++
				}
			}
		}
	}
	return f
}

func (f *figures) heap(j *judged) {
	if j.g.Total.Grew() < grewBy {
		return
	}
	f.grew++
	if j.line > 0 {
		f.named++
	}
	if j.g.Total.State == record.Found {
		f.heapFound++
	}
}

// rows are the figures as they are printed, with those asked for.
var rows = []struct {
	text, asked string
	of          func(f *figures) string
}{
	{"recordings of leaks", "", func(f *figures) string { return fmt.Sprint(f.leaks) }},
	{"recordings of look-alikes", "15", func(f *figures) string { return fmt.Sprint(f.alikes) }},
	{"in all", "30, 10 of 600 s, 12 fresh", func(f *figures) string { return fmt.Sprint(f.recorded) }},
	{"culprit on the first screen, of those that grew by 3 MiB", "90 %", func(f *figures) string {
		return fmt.Sprintf("%d of %d", f.named, f.grew)
	}},
	{"  growth found, not only suspected", "", func(f *figures) string {
		return fmt.Sprintf("%d of %d", f.heapFound, f.grew)
	}},
	{"wrong class", "0", func(f *figures) string { return fmt.Sprint(f.wrong) }},
	{"alarm on look-alikes", "0", func(f *figures) string { return fmt.Sprintf("%d of %d", f.alarms, f.alikes) }},
	{"50 goroutines or more that stay, found", "all", func(f *figures) string {
		return fmt.Sprintf("%d of %d", f.routinesFound, f.routines)
	}},
}

func printFigures(w io.Writer, all []figures) {
	fmt.Fprintf(w, "%-58s", "")
	for _, s := range sets {
		fmt.Fprintf(w, "%12s", s.name)
	}
	fmt.Fprintln(w, "   asked for")
	for _, row := range rows {
		fmt.Fprintf(w, "%-58s", row.text)
		for i := range all {
			fmt.Fprintf(w, "%12s", row.of(&all[i]))
		}
		fmt.Fprintf(w, "   %s\n", row.asked)
	}
}

// table is the golden: a line for each recording.
func table(all []judged) string {
	var b strings.Builder
	for i := range all {
		j := &all[i]
		t := &j.g.Total
		more, found := j.routines()
		if j.Culprit == "" {
			more, found = 0, false
		}
		fmt.Fprintf(&b, "%s: %s; heap %s -> %s %s %s; goroutines %+.0f found=%v; culprit in line %d; sure: %s; wrong "+
			"class: %q\n", j.Name, j.Kind,
			bytesText(t.First), bytesText(t.Last), t.Shape, t.State, more, found, j.line, strings.Join(j.alarm(), ", "),
			j.wrongClass())
	}
	return b.String()
}

// TestRecordingsOfLibraries judges what 'make recordings' recorded.
func TestRecordingsOfLibraries(t *testing.T) {
	all := judgeRecordings(t)
	golden := filepath.Join(recordingsDir, "golden.txt")
	if *updateRecordings {
		require.NoError(t, os.WriteFile(golden, []byte(table(all)), 0o644))
		return // the run after it judges
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), table(all))
	figures := make([]figures, len(sets))
	for i, s := range sets {
		figures[i] = tally(all, s.has)
	}
	var out bytes.Buffer
	printFigures(&out, figures)
	t.Log("\n" + out.String())
	for i, f := range figures[:2] { // nothing is asked of the fresh ones but that their first result stays
		name := sets[i].name
		assert.GreaterOrEqual(t, 10*f.named, 9*f.grew, "culprit on the first screen, %s", name)
		assert.NotZero(t, f.grew, name)
		assert.Zero(t, f.wrong, "wrong class, %s", name)
		assert.Zero(t, f.alarms, "alarm on look-alikes, %s", name)
		assert.Equal(t, f.routines, f.routinesFound, "goroutines that stay, %s", name)
		assert.NotZero(t, f.routines, name)
	}
	assert.GreaterOrEqual(t, figures[0].recorded, 30)
	assert.GreaterOrEqual(t, figures[0].alikes, 15)
	assert.GreaterOrEqual(t, figures[1].recorded, 10)
	assert.GreaterOrEqual(t, figures[2].recorded, 12)
}
