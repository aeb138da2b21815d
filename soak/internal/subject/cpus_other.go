//go:build !linux

package subject

import (
	"errors"
	"os/exec"
	"runtime"
)

// StartOn starts cmd; it refuses to bind it.
func StartOn(cpus string, cmd *exec.Cmd) error {
	if cpus != "" {
		return errors.New("a subject can't be bound to processors on " + runtime.GOOS)
	}
	return cmd.Start()
}

// Processors says nothing here: no process can be bound to them.
func Processors() []int { return nil }
