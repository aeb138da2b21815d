//go:build !linux

package sampler

import (
	"errors"
	"runtime"

	"memsoak/profiles/record"
)

func readProcess(int, bool) (*record.Process, error) {
	return nil, errors.New("process memory can't be read on " + runtime.GOOS)
}
