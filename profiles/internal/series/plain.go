package series

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/profiles/record"
)

// ErrNoProfiles is returned when none of the files is a profile of the heap or of goroutines.
var ErrNoProfiles = errors.New("nothing to diagnose")

// ReadFiles reads profiles of the heap and of goroutines, in any form that package capture reads, in the order of the
// times inside them. covariates is that of DiagnoseFiles.
func ReadFiles(paths []string, covariates io.Reader, module string) (*Series, error) {
	t := &record.Trial{Schema: record.TrialSchema, Kind: record.Passive, Outcome: record.OK, Settings: map[string]string{}}
	s := New(t, module)
	notes := map[string]int{}
	for i, p := range paths {
		n := &Snapshot{Snapshot: record.Snapshot{Seq: i + 1, State: record.StateFree, Heap: filepath.ToSlash(p)}}
		if err := s.addFile(n, p, notes); err != nil {
			s.warn("left out: %v", err)
			continue
		}
		s.Snaps = append(s.Snaps, n)
	}
	if len(s.Snaps) == 0 {
		return nil, noProfiles(s.Warnings)
	}
	for _, text := range slices.Sorted(maps.Keys(notes)) {
		if k := notes[text]; k < len(s.Snaps) {
			text = fmt.Sprintf("%d of %d profiles: %s", k, len(s.Snaps), text)
		}
		s.warn("%s", text)
	}
	s.order()
	if covariates != nil {
		if err := s.join(covariates); err != nil {
			return nil, err
		}
	}
	s.Finish()
	t.Started, t.Ended = s.Snaps[0].Time, s.Snaps[len(s.Snaps)-1].Time
	return s, nil
}

// noProfiles is the error of files of which none could be used, in one line.
func noProfiles(warnings []string) error {
	const most = 3
	for i, w := range warnings {
		warnings[i] = strings.TrimPrefix(w, "left out: ")
	}
	more := ""
	if n := len(warnings) - most; n > 0 {
		warnings, more = warnings[:most], fmt.Sprintf("; and %d more", n)
	}
	return fmt.Errorf("%w: %s%s", ErrNoProfiles, strings.Join(warnings, "; "), more)
}

// addFile takes one file of any kind and counts its notes.
func (s *Series) addFile(n *Snapshot, path string, notes map[string]int) error {
	c, err := capture.Read(path)
	if err != nil {
		return err
	}
	for _, x := range c.Notes {
		notes[x.Text]++
	}
	n.Time = c.Time()
	switch {
	case c.Kind == capture.Goroutine:
		return s.AddRoutines(n, c)
	case c.Kind == capture.Other:
		return fmt.Errorf("%s: a profile of %s, which says nothing of memory; that is in /debug/pprof/heap", path, typesOf(c))
	case c.InuseBytes == capture.Missing:
		s.gather.add(n, c)
		return nil
	}
	return s.AddHeap(n, c)
}

func typesOf(c *capture.Capture) string {
	var names []string
	for _, t := range c.Profile.SampleType {
		names = append(names, t.Type)
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// order sorts snapshots by the times inside the profiles. Where one has none, all keep the order they were given in,
// and there are no rates.
func (s *Series) order() {
	for _, n := range s.Snaps {
		if n.Time.IsZero() {
			if len(s.Snaps) > 1 {
				s.warn("%s has no time inside: the profiles are taken in the order given, and nothing is said per hour", n.Heap)
			}
			for i, m := range s.Snaps {
				m.Time = time.Unix(int64(i), 0)
			}
			s.gather.series.Timed = false
			break
		}
	}
	byTime := func(a, b *Snapshot) int { return a.Time.Compare(b.Time) }
	if !slices.IsSortedFunc(s.Snaps, byTime) {
		s.warn("the profiles were not given in the order of the times inside them; that order is used")
		slices.SortStableFunc(s.Snaps, byTime)
	}
	for i, n := range s.Snaps {
		n.Seq = i + 1
	}
}

// csvFields are the columns of a covariates file, by the JSON names of record.Covariates.
var csvFields = map[string]func(*record.Covariates) *int64{
	"files_listed":    func(c *record.Covariates) *int64 { return &c.FilesListed },
	"files_done":      func(c *record.Covariates) *int64 { return &c.FilesDone },
	"distinct":        func(c *record.Covariates) *int64 { return &c.Distinct },
	"bytes_done":      func(c *record.Covariates) *int64 { return &c.BytesDone },
	"pages":           func(c *record.Covariates) *int64 { return &c.Pages },
	"folders":         func(c *record.Covariates) *int64 { return &c.Folders },
	"requests":        func(c *record.Covariates) *int64 { return &c.Requests },
	"failed":          func(c *record.Covariates) *int64 { return &c.Failed },
	"backlog":         func(c *record.Covariates) *int64 { return &c.Backlog },
	"in_flight":       func(c *record.Covariates) *int64 { return &c.InFlight },
	"bytes_in_flight": func(c *record.Covariates) *int64 { return &c.BytesInFlight },
	"conns_open":      func(c *record.Covariates) *int64 { return &c.ConnsOpen },
	"conns_idle":      func(c *record.Covariates) *int64 { return &c.ConnsIdle },
}

// join reads the covariates and gives each snapshot those of its file, or else of the nearest time.
func (s *Series) join(r io.Reader) error {
	rows, err := readCovariates(r)
	if err != nil {
		return fmt.Errorf("covariates: %w", err)
	}
	for _, n := range s.Snaps {
		best := -1
		for i, row := range rows {
			switch {
			case row.file != "" && row.file == filepath.Base(n.Heap):
				best = i
			case row.file == "" && (best < 0 || row.time.Sub(n.Time).Abs() < rows[best].time.Sub(n.Time).Abs()):
				best = i
			}
		}
		if best < 0 {
			s.warn("%s has no row in the covariates", n.Heap)
			continue
		}
		c := rows[best].Covariates
		n.Covariates = &c
		if rows[best].rest && c.InFlight == 0 && c.Backlog == 0 {
			n.State = record.StateFloor
		}
	}
	return nil
}

type covariateRow struct {
	record.Covariates
	file string
	time time.Time
	rest bool // the row says whether anything is under way
}

func readCovariates(r io.Reader) ([]covariateRow, error) {
	cr := csv.NewReader(r)
	cr.TrimLeadingSpace = true
	head, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	rest := slices.Contains(head, "in_flight")
	if !slices.Contains(head, "file") && !slices.Contains(head, "time") {
		return nil, errors.New(`line 1: need a column "file" or "time"`)
	}
	for _, h := range head {
		if h != "file" && h != "time" && csvFields[h] == nil {
			return nil, fmt.Errorf("line 1: unknown column %q", h)
		}
	}
	var rows []covariateRow
	for {
		rec, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		row := covariateRow{rest: rest}
		for i, cell := range rec {
			line, _ := cr.FieldPos(i)
			switch head[i] {
			case "file":
				row.file = filepath.Base(cell)
			case "time":
				if row.time, err = time.Parse(time.RFC3339, cell); err != nil {
					return nil, fmt.Errorf("line %d: time %q is not RFC 3339", line, cell)
				}
			default:
				v, err := strconv.ParseFloat(cell, 64)
				if err != nil {
					return nil, fmt.Errorf("line %d: %s %q is not a number", line, head[i], cell)
				}
				*csvFields[head[i]](&row.Covariates) = int64(v)
			}
		}
		rows = append(rows, row)
	}
}
