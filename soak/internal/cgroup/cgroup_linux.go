package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/memsoak/memsoak/profiles/record"
)

func kill(pid int) { _ = syscall.Kill(pid, syscall.SIGKILL) }

// locate finds the directory below which this process may make memory groups.
func locate() (base string, o ops, kind string, err error) {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return "", nil, "", err
	}
	self, err := procfs.Self()
	if err != nil {
		return "", nil, "", err
	}
	own, err := self.Cgroups()
	if err != nil {
		return "", nil, "", err
	}
	memory, unified := "", ""
	for _, c := range own {
		switch {
		case slices.Contains(c.Controllers, "memory"):
			memory = c.Path
		case c.HierarchyID == 0: // version 2's, by definition
			unified = c.Path
		}
	}
	for _, m := range mounts {
		if _, ok := m.SuperOptions["memory"]; ok && m.FSType == "cgroup" {
			base, err := firstWritable(m.MountPoint, memory)
			return base, v1{}, V1, err
		}
	}
	for _, m := range mounts {
		if m.FSType == "cgroup2" {
			base, err := delegated(m.MountPoint, unified)
			return base, v2{}, V2, err
		}
	}
	return "", nil, "", errors.New("no cgroup file system is mounted")
}

// firstWritable is own, the group of this process, or else the root of the hierarchy, whichever lets us make a group.
// Below own, what limits this process limits its subjects too.
func firstWritable(mount, own string) (string, error) {
	for _, dir := range []string{filepath.Join(mount, own), mount} {
		if unix.Access(dir, unix.W_OK) == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no permission to make a group below %s", mount)
}

// delegated walks up from own to the nearest group that we may write to and that can hand the memory controller to
// its children: version 2 forbids that to a group with processes in it, so own itself rarely qualifies. For a user
// that is user@UID.service, delegated by systemd; for root the root group.
func delegated(mount, own string) (string, error) {
	last := errors.New("the memory controller is not available")
	for rel := own; ; rel = filepath.Dir(rel) {
		dir := filepath.Join(mount, rel)
		if err := usable(dir); err == nil {
			return dir, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			last = err
		}
		if rel == "/" || rel == "." {
			return "", fmt.Errorf("no group at or above %s can be used: %w", filepath.Join(mount, own), last)
		}
	}
}

// usable says whether the group dir hands the memory controller to its children, or makes it do so.
func usable(dir string) error {
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("write to %s: %w", dir, err)
	}
	const file = "cgroup.subtree_control"
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(string(b)), "memory") {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, file), []byte("+memory"), 0)
}

// limit is a line of a group's limit; optional are those that a kernel without swap accounting lacks: there is no swap
// to turn off then.
type limit struct {
	file, value string
	optional    bool
}

// create makes the group dir and writes its limits, in their order.
func create(dir string, limits ...limit) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, l := range limits {
		err := os.WriteFile(filepath.Join(dir, l.file), []byte(l.value), 0)
		if err != nil && !(l.optional && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// v1 is a version 1 memory hierarchy.
type v1 struct{}

func (v1) create(dir string, bytes int64) error {
	if bytes <= 0 {
		return create(dir)
	}
	n := strconv.FormatInt(bytes, 10)
	// Memory comes first: the kernel refuses a sum with swap that is below it.
	return create(dir, limit{file: "memory.limit_in_bytes", value: n},
		limit{file: "memory.memsw.limit_in_bytes", value: n, optional: true}, limit{file: "memory.swappiness", value: "0"})
}

func (v1) read(dir string) (record.Cgroup, error) { return readV1(dir) }

func (v1) usageFile() string { return "memory.usage_in_bytes" }

// enter wraps cmd in a shell that joins the group and becomes the command: version 1 has no other way to start a
// process inside a group.
func (v1) enter(dir string, cmd *exec.Cmd) (func(), error) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		return nil, fmt.Errorf("start inside a version 1 cgroup: %w", err)
	}
	cmd.Args = append([]string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs"), cmd.Path},
		cmd.Args[1:]...)
	cmd.Path = sh
	return func() {}, nil
}

// v2 is the unified hierarchy.
type v2 struct{}

func (v2) create(dir string, bytes int64) error {
	if err := usable(filepath.Dir(dir)); err != nil {
		return err
	}
	if bytes <= 0 {
		return create(dir)
	}
	return create(dir, limit{file: "memory.max", value: strconv.FormatInt(bytes, 10)},
		limit{file: "memory.swap.max", value: "0", optional: true})
}

func (v2) read(dir string) (record.Cgroup, error) { return readV2(dir) }

func (v2) usageFile() string { return "memory.current" }

func (v2) enter(dir string, cmd *exec.Cmd) (func(), error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.UseCgroupFD = true
	cmd.SysProcAttr.CgroupFD = int(f.Fd())
	return func() { f.Close() }, nil
}
