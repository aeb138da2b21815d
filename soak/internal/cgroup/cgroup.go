// Package cgroup puts a subject's process into a memory cgroup of its own, version 1 or 2, reads what the kernel
// charges to it, and takes it away again with all that is in it. It is not a general cgroup library: memory is the one
// controller, and nothing else of a group is set.
package cgroup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/memsoak/memsoak/profiles/record"
)

// The kinds of isolation, as record.Isolation.Kind has them.
const (
	V1   = "cgroup-v1"
	V2   = "cgroup-v2"
	None = "none"
)

// ErrUnavailable is returned, wrapped with the reason, where the machine lets us make no memory cgroup.
var ErrUnavailable = errors.New("no memory cgroup")

// prefix begins the names of all groups made here, so that a reaper can't remove another program's.
const prefix = "memsoak-"

// Parent is the cgroup of a run, below which each trial gets one of its own. With a limit it stands for a node.
type Parent struct {
	kind string
	dir  string
	ops  ops
}

// ops is what differs between the versions.
type ops interface {
	create(dir string, limit int64) error
	read(dir string) (record.Cgroup, error)
	usageFile() string
	enter(dir string, cmd *exec.Cmd) (done func(), err error)
}

// Open makes the cgroup of the run id, with a memory limit of node bytes when node is above 0. It calls note with the
// directory before it makes it, so that a kill in between leaves nothing unknown.
func Open(id string, node int64, note func(dir string)) (*Parent, error) {
	base, o, kind, err := locate()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	p := &Parent{kind: kind, dir: filepath.Join(base, prefix+id), ops: o}
	note(p.dir)
	if err := o.create(p.dir, node); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return p, nil
}

// Kind is V1 or V2.
func (p *Parent) Kind() string { return p.kind }

// Close removes the parent and whatever is left below it.
func (p *Parent) Close() error { return Reap(p.dir) }

// Group is the cgroup of one trial. Its methods may be called from several goroutines, Close after all others.
type Group struct {
	dir   string
	limit int64
	ops   ops
	usage *os.File // has the bytes charged now
}

// New makes a group with a limit of limit bytes, swap included; 0 is no limit.
func (p *Parent) New(name string, limit int64) (*Group, error) {
	g := &Group{dir: filepath.Join(p.dir, prefix+name), limit: limit, ops: p.ops}
	if err := p.ops.create(g.dir, limit); err != nil {
		return nil, fmt.Errorf("make cgroup %s: %w", g.dir, err)
	}
	var err error
	if g.usage, err = os.Open(filepath.Join(g.dir, p.ops.usageFile())); err != nil {
		return nil, errors.Join(fmt.Errorf("read cgroup: %w", err), Reap(g.dir))
	}
	return g, nil
}

// Enter makes cmd, which is not started yet, start inside the group, so that not one page is charged elsewhere. The
// caller calls done once cmd is started.
func (g *Group) Enter(cmd *exec.Cmd) (done func(), err error) { return g.ops.enter(g.dir, cmd) }

// Read returns what the kernel charges to the group.
func (g *Group) Read() (record.Cgroup, error) {
	c, err := g.ops.read(g.dir)
	c.Limit = g.limit
	return c, err
}

// Usage returns the bytes charged now: one small file that stays open, cheap enough for many calls a second.
func (g *Group) Usage() (int64, error) {
	var b [32]byte // holds any number
	n, err := g.usage.ReadAt(b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return parseInt(g.usage.Name(), b[:n])
}

// Limit is the limit in bytes, 0 for none.
func (g *Group) Limit() int64 { return g.limit }

// Close kills the processes in the group and removes it.
func (g *Group) Close() error {
	g.usage.Close() // a file that was only read
	return Reap(g.dir)
}

// reapTries times reapPause is how long Reap waits for killed processes to be gone.
const (
	reapTries = 500
	reapPause = 10 * time.Millisecond
)

// Reap kills every process in dir and the groups below it, and removes them. A dir that is gone is no error; one that
// this package did not make is refused.
func Reap(dir string) error {
	if !strings.HasPrefix(filepath.Base(dir), prefix) {
		return fmt.Errorf("remove cgroup %s: not one of ours", dir)
	}
	var err error
	for range reapTries {
		if err = removeTree(dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		time.Sleep(reapPause)
	}
	return fmt.Errorf("remove cgroup: %w", err)
}

// removeTree kills and removes dir and its children once, deepest first.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for _, pid := range procs(dir) {
		kill(pid)
	}
	return os.Remove(dir)
}
