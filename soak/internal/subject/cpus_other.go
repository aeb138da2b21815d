//go:build !linux

package subject

import (
	"errors"
	"os/exec"
	"runtime"
)

func startOn(cpus string, cmd *exec.Cmd) error {
	if cpus != "" {
		return errors.New("a subject can't be bound to processors on " + runtime.GOOS)
	}
	return cmd.Start()
}
