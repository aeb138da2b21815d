package subject

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// StartOn starts cmd bound to a set of processors: a child inherits them from the thread that forks it.
func StartOn(cpus string, cmd *exec.Cmd) error {
	if cpus == "" {
		return cmd.Start()
	}
	list, err := ParseCPUs(cpus)
	if err != nil {
		return err
	}
	var want unix.CPUSet
	for _, n := range list {
		want.Set(n)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the processors of this thread: %w", err)
	}
	if err := unix.SchedSetaffinity(0, &want); err != nil {
		return fmt.Errorf("use processors %s: %w", cpus, err)
	}
	err = cmd.Start()
	if rerr := unix.SchedSetaffinity(0, &before); err == nil {
		err = rerr
	}
	return err
}

// Processors are those that this process may use.
func Processors() (out []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for n := range maxCPU + 1 {
		if set.IsSet(n) {
			out = append(out, n)
		}
	}
	return out
}
