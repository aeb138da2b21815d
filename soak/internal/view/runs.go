package view

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// run is a directory with a run, under the name it has in addresses.
type run struct {
	Name string
	dir  string
	root *os.Root
}

// runs finds the runs below the given directories: each is a run itself, or a folder of runs. It is called again for
// every index, so that runs that begin later appear.
func findRuns(dirs []string) ([]run, error) {
	var found []run
	seen, names := map[string]bool{}, map[string]int{}
	add := func(dir string) error {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return err
		}
		if real, err = filepath.Abs(real); err != nil || seen[real] {
			return err
		}
		seen[real] = true
		root, err := os.OpenRoot(real)
		if err != nil {
			return err
		}
		name := safeName(filepath.Base(real))
		names[name]++
		if n := names[name]; n > 1 {
			name = fmt.Sprintf("%s~%d", name, n)
		}
		found = append(found, run{Name: name, dir: real, root: root})
		return nil
	}
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, record.RunFile)); err == nil {
			if err := add(d); err != nil {
				return nil, err
			}
			continue
		}
		entries, err := os.ReadDir(d)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			sub := filepath.Join(d, e.Name())
			if _, err := os.Stat(filepath.Join(sub, record.RunFile)); err == nil {
				if err := add(sub); err != nil {
					return nil, err
				}
			}
		}
	}
	return found, nil
}

// safeName is a name for an address: unsafe characters become "_".
func safeName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, s)
}

// quiet is how long a run without an end may be silent before it counts as ended: its process has died.
const quiet = 3 * time.Minute

// state is a mark that changes whenever a file that the report reads does, and whether the run continues.
func (r run) state() (mark string, running bool) {
	h := fnv.New64a()
	var newest time.Time
	_ = fs.WalkDir(r.root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // a damaged part of a run is no reason not to show the rest
		}
		if name := d.Name(); d.IsDir() && (name == record.HeapDir || name == record.RoutineDir) {
			return fs.SkipDir
		} else if d.IsDir() || strings.HasPrefix(name, "report.") || strings.HasPrefix(name, ".") {
			return nil
		}
		if st, err := d.Info(); err == nil {
			fmt.Fprintf(h, "%s %d %d\n", path, st.Size(), st.ModTime().UnixNano())
			if st.ModTime().After(newest) {
				newest = st.ModTime()
			}
		}
		return nil
	})
	rec, err := record.ReadRun(r.dir)
	running = err == nil && rec.Ended.IsZero() && time.Since(newest) < quiet
	return fmt.Sprintf("%x", h.Sum64()), running
}

// errUnknown is for addresses that name nothing there is.
var errUnknown = errors.New("there is no such thing in the runs on view")

// snapshot is a profile of a run, as the addresses name it: RUN/CELL.TRIAL.SEQ.KIND, cells and trials counted from 1.
type snapshot struct {
	run  run
	path string // of the profile, below the run
	text string // for people
}

// key names a snapshot in addresses.
func key(cell, trial, seq int, kind string) string {
	return fmt.Sprintf("%d.%d.%d.%s", cell, trial, seq, kind)
}

// lookup finds the snapshot of a key.
func (r run) lookup(k string) (*snapshot, error) {
	var cell, trial, seq int
	var kind string
	if n, err := fmt.Sscanf(strings.ReplaceAll(k, ".", " "), "%d %d %d %s", &cell, &trial, &seq, &kind); n != 4 ||
		err != nil {
		return nil, errUnknown
	}
	rec, err := record.ReadRun(r.dir)
	if err != nil {
		return nil, err
	}
	if cell < 1 || cell > len(rec.Status) || (kind != record.HeapDir && kind != record.RoutineDir) {
		return nil, errUnknown
	}
	st := rec.Status[cell-1]
	dir := fmt.Sprintf("%s/trial-%d", st.Dir, trial)
	if !filepath.IsLocal(filepath.FromSlash(dir)) {
		return nil, errUnknown
	}
	tr, err := record.ReadTrial(filepath.Join(r.dir, filepath.FromSlash(dir)))
	if err != nil {
		return nil, fmt.Errorf("trial %d of cell %s: %w", trial, st.Cell, err)
	}
	i := slices.IndexFunc(tr.Snapshots, func(s record.Snapshot) bool { return s.Seq == seq })
	if i < 0 {
		return nil, errUnknown
	}
	s := tr.Snapshots[i]
	path := s.Heap
	if kind == record.RoutineDir {
		path = s.Goroutine
	}
	if path == "" || !filepath.IsLocal(filepath.FromSlash(path)) {
		return nil, errUnknown
	}
	return &snapshot{run: r, path: dir + "/" + path,
		text: fmt.Sprintf("%s, %s, snapshot %d (%s)", rec.Subject, cmp.Or(st.Cell.String(), "default"), seq, s.State)}, nil
}
