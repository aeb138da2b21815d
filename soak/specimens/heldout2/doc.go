// Package heldout2 is a second set of held-out specimens: faults and look-alikes as real programs have them, written
// without sight of the rules of diagnosis. It is not for tuning: a rule that was changed to suit one of these makes the
// set worthless as a measure.
package heldout2

import (
	"context"

	"github.com/memsoak/memsoak/soak/specimens/copier"
	"github.com/memsoak/memsoak/soak/specimens/specimen"
)

// All returns the specimens of this package.
func All() []specimen.Specimen {
	all := []specimen.Specimen{
		{Name: "leak-journal", Hooks: newJournal},
		{Name: "leak-cursor", Hooks: newCursors},
		{Name: "leak-linekey", Hooks: newLineKeys},
		{Name: "leak-reminder", Hooks: newReminders},
		{Name: "leak-child", Hooks: newChildren},
		{Name: "leak-failures", Hooks: newFailures},
		{Name: "leak-overdue", Hooks: newOverdue},
		{Name: "leak-loglines", Hooks: newLogLines},
		{Name: "leak-sampling", Hooks: newSampling},
		{Name: "leak-peers", Hooks: newPeers},
		{Name: "leak-blocks", Hooks: newBlocks},
		{Name: "routine-approval", Hooks: newApprovals},
		{Name: "routine-watchdog", Hooks: newWatchdogs},
		{Name: "conn-errorpath", Hooks: newErrorPath},
		{Name: "conn-clone", Hooks: newClones},
		{Name: "file-cipher", Hooks: newCiphers},
		{Name: "file-undo", Hooks: newUndo},
		{Name: "file-pooled", Hooks: newPooled},
		{Name: "worker-threeparts", Hooks: newThreeParts},
		{Name: "worker-threshold", Hooks: newThreshold},
		{Name: "pool-wrapped", Hooks: newWrapped},
		{Name: "stacks-nested", Hooks: newNested},
		{Name: "static-geotable", Hooks: newGeoTable},
		{Name: "cache-clock", Hooks: newClock},
		{Name: "meta-backlog", Hooks: newBacklogs},
		{Name: "meta-dispatch", Hooks: newDispatchers},
		{Name: "meta-index", Hooks: newIndex},
		{Name: "meta-plan", Hooks: newPlans},
		{Name: "meta-histogram", Hooks: newHistograms},

		{Name: "ok-journal", Hooks: newRing},
		{Name: "ok-cursor", Hooks: newLastCursor},
		{Name: "ok-linekey", Hooks: newLineKeysInFlight},
		{Name: "ok-reminder", Hooks: newStoppedReminders},
		{Name: "ok-child", Hooks: newCancelledChildren},
		{Name: "ok-errorpath", Hooks: newClosedErrorPath},
		{Name: "ok-overdue", Hooks: newDrained},
		{Name: "ok-sampling", Hooks: newFixedSampling},
		{Name: "ok-peers", Hooks: newCleanedPeers},
		{Name: "ok-approval", Hooks: newAnsweredApprovals},
		{Name: "ok-threshold", Hooks: newSmallThreshold},
		{Name: "ok-workerbuffer", Hooks: newWorkerBuffers},
		{Name: "ok-dispatch", Hooks: newBoundedDispatchers},
		{Name: "ok-histogram", Hooks: newKindHistograms},
		{Name: "ok-weakmap", Hooks: newWeakReports},
		{Name: "ok-slabs", Hooks: newSlabs},
		{Name: "ok-warmnames", Hooks: newWarmNames},
	}
	return append(all, ofPlatform()...)
}

// onDone is hooks that call f after each stored file.
func onDone(f func(copier.File)) copier.Hooks {
	return copier.Hooks{Done: func(_ context.Context, _ *copier.Worker, file copier.File) { f(file) }}
}
