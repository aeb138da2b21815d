// Package metadata has faults that hold something per listed, waiting or distinct file; beside them are look-alikes
// that stream or are bounded. The line that a verdict should name ends in a comment "fault:NAME".
package metadata

import "github.com/memsoak/memsoak/soak/specimens/specimen"

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "meta-list", Hooks: newInventory(false)},
		{Name: "ok-list-window", Hooks: newInventory(true)},
		{Name: "meta-pathmap", Hooks: newPaths(false)},
		{Name: "ok-pathmap", Hooks: newPaths(true)},
		{Name: "meta-tree", Hooks: newTree(false)},
		{Name: "ok-tree", Hooks: newTree(true)},
		{Name: "meta-json", Hooks: newRawEntries(false)},
		{Name: "ok-json", Hooks: newRawEntries(true)},
		{Name: "meta-results", Hooks: newResults(false)},
		{Name: "ok-results", Hooks: newResults(true)},
		{Name: "meta-drivefiles", Hooks: newDriveFiles(false)},
		{Name: "ok-drivefiles", Hooks: newDriveFiles(true)},

		{Name: "meta-queue", Hooks: newBacklog},
		{Name: "meta-ring", Hooks: newRing},
		{Name: "ok-slowqueue", Hooks: newSlow},
		{Name: "meta-goroutines", Hooks: newGoroutinePerFile},

		{Name: "meta-visited", Hooks: newVisited(false)},
		{Name: "ok-visited", Hooks: newVisited(true)},
		{Name: "meta-cache", Hooks: newEtags(false)},
		{Name: "ok-etags", Hooks: newEtags(true)},
		{Name: "meta-labels", Hooks: newPerFileMetrics},
	}
}
