//go:build !linux

package sampler

import (
	"errors"
	"runtime"

	"github.com/memsoak/memsoak/profiles/record"
)

func readCPU(int) (float64, error) { return 0, errors.New("CPU time can't be read on " + runtime.GOOS) }

func readRSS(int) (int64, error) {
	return 0, errors.New("the resident size can't be read on " + runtime.GOOS)
}

func readPeakRSS(int) (int64, error) {
	return 0, errors.New("the peak size can't be read on " + runtime.GOOS)
}

func readProcess(int) (*record.Process, error) {
	return nil, errors.New("process memory can't be read on " + runtime.GOOS)
}
