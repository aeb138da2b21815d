// Package heldout has specimens that were written by an author who has seen the verdict vocabulary and not the rules,
// after the thresholds were committed. Their results are reported apart. When a rule is changed because of one, it
// moves to the other packages and a new one takes its place.
package heldout

import "github.com/memsoak/memsoak/soak/specimens/specimen"

// All returns the package's specimens, some of which exist on Linux alone. Their truth is in this folder's truth/.
func All() []specimen.Specimen {
	return append([]specimen.Specimen{
		{Name: "leak-headers", Hooks: newHeaderAudit},
		{Name: "leak-values", Hooks: newLineage},
		{Name: "leak-attempts", Hooks: newRetrier},
		{Name: "leak-urls", Hooks: newPresigned},
		{Name: "leak-logring", Hooks: newLogRing(false)},
		{Name: "ok-logring", Hooks: newLogRing(true)},
		{Name: "leak-onerror", Hooks: newErrorBook},
		{Name: "leak-cleanup", Hooks: newTracked(false)},
		{Name: "ok-cleanup", Hooks: newTracked(true)},
		{Name: "leak-lease", Hooks: newLeases(false)},
		{Name: "ok-lease", Hooks: newLeases(true)},
		{Name: "leak-tokens", Hooks: newTokens},
		{Name: "leak-manifest", Hooks: newManifests},

		{Name: "routine-singleflight", Hooks: newFlights},
		{Name: "routine-hedge", Hooks: newHedge(false)},
		{Name: "ok-hedge", Hooks: newHedge(true)},
		{Name: "routine-waitgroup", Hooks: newBarrier},
		{Name: "routine-poll", Hooks: newPollers},
		{Name: "conn-raw", Hooks: newRawProbes(false)},
		{Name: "ok-raw", Hooks: newRawProbes(true)},

		{Name: "worker-digest", Hooks: newDigests(1 << 20)},
		{Name: "ok-digest", Hooks: newDigests(16 << 10)},
		{Name: "worker-readahead", Hooks: newReadAhead},
		{Name: "file-base64", Hooks: newAttachments},
		{Name: "file-parts", Hooks: newResumable},

		{Name: "meta-heap", Hooks: newPriority(0)},
		{Name: "ok-heap", Hooks: newPriority(48)},
		{Name: "meta-folders", Hooks: newFolders},
		{Name: "meta-joined", Hooks: newJoined},
		{Name: "meta-sorted", Hooks: newSorted},
		{Name: "meta-expvar", Hooks: newCounters},
		{Name: "meta-template", Hooks: newTemplates},
		{Name: "cache-2q", Hooks: newRenditions},
		{Name: "ok-ttl", Hooks: newFresh},
		{Name: "ok-pagebuf", Hooks: newPageBuffer},
		{Name: "ok-alphabet", Hooks: newAlphabet},
	}, mapped()...)
}
