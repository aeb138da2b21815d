// Package leftover makes sure that nothing outlives a run, even one whose runner was killed with -9: each run takes a
// lease, a small file that says what the run may leave behind, written before anything is started. The run that takes
// the next lease clears away everything that belongs to leases whose owner is dead.
//
// Processes are known by a variable in their environment, not by their ids: an id that is read from a file may belong
// to another process by now, and one that was not written yet is lost.
package leftover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/soak/internal/cgroup"
)

// Variable is the environment variable that marks a run's processes.
const Variable = "MEMSOAK_RUN"

// Lease is a run's claim.
type Lease struct {
	// Warnings name everything cleared away from dead runs.
	Warnings []string

	path string
	data lease
}

type lease struct {
	Run     string   `json:"run"`
	PID     int      `json:"pid"`
	Start   uint64   `json:"start"` // of the runner's process, in the kernel's clock ticks: ids are reused
	Cgroups []string `json:"cgroups,omitempty"`
	Temp    string   `json:"temp"`
}

// tempPrefix begins the names of the temporary directories, so that a damaged lease can't name another directory.
const tempPrefix = "memsoak-run-"

// Dir is where leases are kept: per user, and the same for every working directory.
func Dir() string {
	if d := os.Getenv("MEMSOAK_STATE_DIR"); d != "" {
		return d
	}
	if d, err := os.UserCacheDir(); err == nil {
		return filepath.Join(d, "memsoak", "running")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("memsoak-running-%d", os.Getuid()))
}

// Take clears away what dead runs left, takes a lease for run, and makes its directory for temporary files.
func Take(run string) (*Lease, error) {
	dir := Dir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("note what this run may leave behind: %w", err)
	}
	l := &Lease{path: filepath.Join(dir, run+".json")}
	l.Warnings = reap(dir)
	l.data = lease{Run: run, PID: os.Getpid(), Start: startTime(os.Getpid()), Temp: filepath.Join(os.TempDir(), tempPrefix+
		run)}
	if err := l.save(); err != nil {
		return nil, fmt.Errorf("note what this run may leave behind: %w", err)
	}
	if err := os.Mkdir(l.data.Temp, 0o700); err != nil {
		l.Release()
		return nil, err
	}
	return l, nil
}

// Temp is the run's directory for temporary files.
func (l *Lease) Temp() string { return l.data.Temp }

// Env marks the processes of the run.
func (l *Lease) Env() []string { return []string{Variable + "=" + l.data.Run} }

// Cgroup adds a cgroup to the lease.
func (l *Lease) Cgroup(dir string) {
	l.data.Cgroups = append(l.data.Cgroups, dir)
	if err := l.save(); err != nil {
		l.Warnings = append(l.Warnings, fmt.Sprintf("if this run is killed, remove %s by hand: %v", dir, err))
	}
}

// Release ends the run's remaining processes and removes the lease.
func (l *Lease) Release() {
	killMarked(l.data.Run)
	os.RemoveAll(l.data.Temp)
	os.Remove(l.path)
}

func (l *Lease) save() error {
	b, err := json.Marshal(l.data)
	if err != nil {
		return err
	}
	return replace.File(l.path, b, 0o600)
}

// reap clears away after the leases in dir whose runner is dead, and says what it found.
func reap(dir string) (found []string) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil
	}
	for _, path := range paths {
		b, err := bounded.ReadFile(path, bounded.Config)
		if err != nil {
			continue // another start reaped it
		}
		var l lease
		if json.Unmarshal(b, &l) != nil || l.Run == "" {
			os.Remove(path)
			continue
		}
		if alive(l) {
			continue
		}
		text, err := clear(l)
		if err != nil {
			found = append(found, fmt.Sprintf("run %s died and left something that can't be cleared away: %v", l.Run, err))
			continue
		}
		if text != "" {
			found = append(found, fmt.Sprintf("cleared away after run %s, which was killed: %s", l.Run, text))
		}
		os.Remove(path)
	}
	return found
}

// alive says whether the lease's runner still runs.
func alive(l lease) bool { return l.Start != 0 && startTime(l.PID) == l.Start }

// clear ends a dead run's processes and removes its cgroups and temporary files.
func clear(l lease) (string, error) {
	var what []string
	if n := killMarked(l.Run); n > 0 {
		what = append(what, fmt.Sprintf("%d processes", n))
	}
	var errs []error
	for _, dir := range l.Cgroups {
		if _, err := os.Stat(dir); err == nil {
			what = append(what, "cgroup "+filepath.Base(dir))
		}
		errs = append(errs, cgroup.Reap(dir))
	}
	if strings.HasPrefix(filepath.Base(l.Temp), tempPrefix) {
		if _, err := os.Stat(l.Temp); !errors.Is(err, fs.ErrNotExist) {
			what = append(what, "temporary files")
			errs = append(errs, os.RemoveAll(l.Temp))
		}
	}
	return strings.Join(what, ", "), errors.Join(errs...)
}
