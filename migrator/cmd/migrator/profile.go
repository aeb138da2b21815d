package main

import (
	"fmt"
	"os"

	"github.com/grafana/pyroscope-go"
)

// profileService is the service name of the continuous profiles; the dashboard of the migrator selects it.
func (s *settings) profileService() string {
	return fmt.Sprintf("memsoak.migrator.w%d.p%d", s.copy.Workers, s.wire.MaxIdleConnsPerHost)
}

// profileTags tell several migrators with the same settings apart. POD_NAME is set by the Kubernetes manifest's
// downward API where it is used; a container's host name is its pod's name, too.
func profileTags() map[string]string {
	tags := map[string]string{}
	if host, err := os.Hostname(); err == nil {
		tags["hostname"] = host
	}
	if pod := os.Getenv("POD_NAME"); pod != "" {
		tags["pod"] = pod
	}
	return tags
}

// profile sends continuous profiles to Pyroscope, if a server is set. The returned function stops it, with the last
// interval sent.
func (s *settings) profile() (stop func(), err error) {
	if s.pyroscopeURL == "" {
		return func() {}, nil
	}
	p, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: s.profileService(),
		ServerAddress:   s.pyroscopeURL,
		Tags:            profileTags(),
		// A collection forced each interval would change the measurement.
		DisableGCRuns: true,
		// Flush waits for ever unless CPU is among the types.
		ProfileTypes: []pyroscope.ProfileType{pyroscope.ProfileCPU, pyroscope.ProfileInuseObjects,
			pyroscope.ProfileInuseSpace,
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
