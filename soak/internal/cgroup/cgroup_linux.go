package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	specs "github.com/opencontainers/runtime-spec/specs-go"
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
	paths, unified, err := cgroups.ParseCgroupFileUnified("/proc/self/cgroup")
	if err != nil {
		return "", nil, "", err
	}
	for _, m := range mounts {
		if _, ok := m.SuperOptions["memory"]; ok && m.FSType == "cgroup" {
			base, err := firstWritable(m.MountPoint, paths["memory"])
			return base, v1{mount: m.MountPoint}, V1, err
		}
	}
	for _, m := range mounts {
		if m.FSType == "cgroup2" {
			base, err := delegated(m.MountPoint, unified)
			return base, v2{mount: m.MountPoint}, V2, err
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

// v1 is a version 1 memory hierarchy.
type v1 struct{ mount string }

func (o v1) create(dir string, limit int64) error {
	rel, err := filepath.Rel(o.mount, dir)
	if err != nil {
		return err
	}
	mem := &specs.LinuxMemory{}
	if limit > 0 {
		var swappiness uint64
		mem.Limit, mem.Swap, mem.Swappiness = &limit, &limit, &swappiness
	}
	_, err = cgroup1.New(cgroup1.StaticPath("/"+rel), &specs.LinuxResources{Memory: mem},
		cgroup1.WithHierarchy(func() ([]cgroup1.Subsystem, error) {
			return []cgroup1.Subsystem{cgroup1.NewMemory(filepath.Dir(o.mount), cgroup1.OptionalSwap())}, nil
		}))
	return err
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
type v2 struct{ mount string }

func (o v2) create(dir string, limit int64) error {
	rel, err := filepath.Rel(o.mount, dir)
	if err != nil {
		return err
	}
	res := &cgroup2.Resources{Memory: &cgroup2.Memory{}}
	if limit > 0 {
		res.Memory.Max = &limit
	}
	if _, err := cgroup2.NewManager(o.mount, "/"+rel, res); err != nil {
		return err
	}
	if limit > 0 {
		// Absent where the kernel has no swap accounting: then there is no swap to turn off either.
		if err := os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0); err != nil && !errors.Is(err,
			fs.ErrNotExist) {
			return err
		}
	}
	return nil
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
