package main

import (
	"fmt"

	"github.com/grafana/pyroscope-go"
)

// profile sends continuous profiles to Pyroscope, if a server is set. The returned function stops it, with the last
// interval sent.
func (s *settings) profile() (stop func(), err error) {
	if s.pyroscopeURL == "" {
		return func() {}, nil
	}
	p, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: fmt.Sprintf("memsoak.migrator.w%d.p%d", s.copy.Workers, s.wire.MaxIdleConnsPerHost),
		ServerAddress:   s.pyroscopeURL,
		// A collection forced each interval would change what is measured.
		DisableGCRuns: true,
		// Flush waits for ever unless CPU is among the types.
		ProfileTypes: []pyroscope.ProfileType{pyroscope.ProfileCPU, pyroscope.ProfileInuseObjects, pyroscope.ProfileInuseSpace,
			pyroscope.ProfileAllocObjects, pyroscope.ProfileAllocSpace, pyroscope.ProfileGoroutines},
	})
	if err != nil {
		return nil, fmt.Errorf("pyroscope: %w", err)
	}
	return func() {
		p.Flush(true) // Stop alone drops the last interval
		_ = p.Stop()  // the process ends anyway
	}, nil
}
