package main

import (
	"fmt"
	"math"
	"runtime/debug"

	"github.com/spf13/pflag"
)

// What a process needs of --memory, in bytes: measured by `make bench-migrator` in cgroups of such sizes. A file's size
// and its parts are not among it, since content is streamed; a part grows with its file so that 10,000 suffice.
const (
	leastLive     = 5 << 20   // clients, types of the SDKs, the queue
	perPage       = 5 << 10   // of a folder being listed, an entry of the page: its JSON, decoded and queued
	perWorker     = 160 << 10 // stacks, TLS records, requests and the buffer of a small file
	perWorkerConn = 4         // buffers of its two connections, each of read-buffer or write-buffer
)

// The garbage beside the live heap takes this share of the budget.
const garbageShare = 0.4

// The most that a budget chooses by itself: more workers than that need a reason that memory doesn't know.
const (
	mostWorkers              = 32
	smallBuffer, largeBuffer = 8 << 10, 32 << 10
	budgetGC                 = 200 // GOMEMLIMIT makes it less where the budget is near
)

// live is what the settings need beside garbage.
func (s *settings) live() int64 {
	listers := int64(s.copy.DiscoveryWorkers) * int64(s.wire.PageSize) * perPage
	conns := int64(s.wire.ReadBuffer+s.wire.WriteBuffer) / 2 * perWorkerConn
	return leastLive + listers + int64(s.copy.Workers)*(perWorker+conns)
}

// needs is the smallest budget for the settings, in whole mebibytes.
func (s *settings) needs() int64 {
	const mib = 1 << 20
	return int64(math.Ceil(float64(s.live())/(1-garbageShare)/mib)) * mib
}

// fit chooses workers, discovery workers, buffers and idle connections for the budget, and the limits of the collector.
// Flags that were given stay. Each choice takes what the ones before it left, so more memory is never less of anything.
func (s *settings) fit(f *pflag.FlagSet) error {
	if s.memory == 0 {
		return nil
	}
	choices := []struct {
		name     string
		of       *int
		from, to int
	}{
		{"workers", &s.copy.Workers, 1, mostWorkers},
		{"discovery-workers", &s.copy.DiscoveryWorkers, 1, 2},
		{"read-buffer", &s.wire.ReadBuffer, smallBuffer, largeBuffer},
		{"write-buffer", &s.wire.WriteBuffer, smallBuffer, largeBuffer},
	}
	given := func(name string) bool { fl := f.Lookup(name); return fl != nil && fl.Changed }
	for _, c := range choices {
		if !given(c.name) {
			*c.of = c.from
		}
	}
	if need := s.needs(); need > s.memory {
		return fmt.Errorf("--memory: want at least %dMiB for these settings, have %dMiB", need>>20, s.memory>>20)
	}
	for _, c := range choices {
		for !given(c.name) && *c.of < c.to {
			if *c.of += c.from; s.needs() > s.memory {
				*c.of -= c.from
				break
			}
		}
	}
	for name, n := range map[string]*int{"max-idle-conns-per-host": &s.wire.MaxIdleConnsPerHost,
		"max-idle-conns": &s.wire.MaxIdleConns} {
		if !given(name) {
			*n = s.copy.Workers + s.copy.DiscoveryWorkers
		}
	}
	setGC(budgetGC)
	if soft := s.memory - max(2<<20, s.memory/16); soft < debug.SetMemoryLimit(-1) { // it doesn't count pages of data
		debug.SetMemoryLimit(soft)
	}
	return nil
}
