package view

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// entry is a run on the index.
type entry struct {
	Name     string
	Damaged  string // why it cannot be shown; empty when it can
	Title    string
	Started  time.Time
	Ended    int
	Trials   int
	Killed   int
	Running  bool
	Peak     int64
	Headline record.Headline
	Answer   string
}

func (s *Server) index(w http.ResponseWriter, r *http.Request) {
	found, err := findRuns(s.dirs)
	if err != nil {
		fail(w, err)
		return
	}
	defer closeAll(found)
	var entries []entry
	for _, f := range found {
		entries = append(entries, describe(f))
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Name, b.Name))
	})
	s.render(w, "index.html", entries)
}

// describe reads what the index shows of a run, which is not all that a report reads.
func describe(r run) entry {
	e := entry{Name: r.Name}
	rec, err := record.ReadRun(r.dir)
	if err != nil {
		e.Damaged = strings.ReplaceAll(err.Error(), r.dir+"/", "")
		return e
	}
	e.Title, e.Started = report.Title(rec), rec.Started
	_, e.Running = r.state()
	for _, c := range rec.Status {
		e.Trials += len(c.Trials)
		for _, t := range c.Trials {
			if t.Outcome != "" {
				e.Ended++
			}
			if t.Outcome == record.OOMKilled {
				e.Killed++
			}
		}
	}
	v, err := record.ReadRunVerdict(r.dir)
	if err != nil {
		return e
	}
	for _, c := range v.Cells {
		if n := c.Peak.Bytes(); n >= e.Peak {
			e.Peak, e.Headline = n, c.Headline
		}
	}
	if len(v.Answer) > 0 {
		e.Answer = v.Answer[0]
	}
	return e
}

// choice is a snapshot that can be compared. First is the one shown at first: a peak, since the other is a floor.
type choice struct {
	Value, Text string
	First, peak bool
}

// compare sends to the difference of two snapshots, or asks which.
func (s *Server) compare(w http.ResponseWriter, r *http.Request) {
	a, b := r.FormValue("a"), r.FormValue("b")
	if a == "" || b == "" {
		list, err := s.choices(r)
		if err != nil {
			fail(w, err)
			return
		}
		s.render(w, "compare.html", list)
		return
	}
	ra, sa, okA := strings.Cut(a, "/")
	rb, sb, okB := strings.Cut(b, "/")
	if !okA || !okB {
		fail(w, errUnknown)
		return
	}
	parts := []string{ra, sa, rb, sb}
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	http.Redirect(w, r, "/diff/"+strings.Join(parts, "/")+"/flamegraph", http.StatusSeeOther)
}

// choices are the peak and the last floor of every cell of every run that can be read.
func (s *Server) choices(r *http.Request) ([]choice, error) {
	found, err := findRuns(s.dirs)
	if err != nil {
		return nil, err
	}
	defer closeAll(found)
	var out []choice
	for _, f := range found {
		loaded, err := report.Load(r.Context(), f.dir)
		if err != nil {
			continue // the index names it
		}
		for i, cell := range loaded.Cells {
			t := cell.Main()
			if t == nil || t.Record == nil {
				continue
			}
			for what, s := range map[string]*record.Snapshot{"peak": report.PeakSnapshot(filepath.Join(f.dir,
				filepath.FromSlash(t.Dir)), t.Record), "last floor": lastFloor(t.Record)} {
				if s != nil {
					out = append(out, choice{Value: f.Name + "/" + key(i+1, t.Index, s.Seq, record.HeapDir),
						Text: fmt.Sprintf("%s, %s: %s", f.Name, cell.Cell, what), peak: what == "peak"})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b choice) int { return cmp.Compare(a.Text, b.Text) })
	if i := slices.IndexFunc(out, func(c choice) bool { return c.peak }); i >= 0 {
		out[i].First = true
	}
	return out, nil
}

func lastFloor(t *record.Trial) *record.Snapshot {
	for i := len(t.Snapshots) - 1; i >= 0; i-- {
		if s := t.Snapshots[i]; s.State == record.StateFloor && s.Heap != "" {
			return &t.Snapshots[i]
		}
	}
	return nil
}
