// Package leaks has faults that keep something per unit of finished work, or per second, for ever; beside each is a
// look-alike that lets go. The line that a verdict should name ends in a comment "fault:NAME".
package leaks

import "github.com/memsoak/memsoak/soak/specimens/specimen"

// All returns the package's specimens.
func All() []specimen.Specimen {
	return []specimen.Specimen{
		{Name: "leak-map", Hooks: newLedger(false)},
		{Name: "ok-map", Hooks: newLedger(true)},
		{Name: "leak-syncmap", Hooks: newSessions(false)},
		{Name: "ok-syncmap", Hooks: newSessions(true)},
		{Name: "leak-subslice", Hooks: newHeads(false)},
		{Name: "ok-subslice", Hooks: newHeads(true)},
		{Name: "leak-substring", Hooks: newTokens(false)},
		{Name: "ok-substring", Hooks: newTokens(true)},
		{Name: "leak-registry", Hooks: newObservers(false)},
		{Name: "ok-registry", Hooks: newObservers(true)},
		{Name: "leak-retry", Hooks: newRetries(false)},
		{Name: "ok-retry", Hooks: newRetries(true)},
		{Name: "leak-generic", Hooks: newAudit(false)},
		{Name: "ok-generic", Hooks: newAudit(true)},
		{Name: "leak-list", Hooks: newRecent(false)},
		{Name: "ok-list", Hooks: newRecent(true)},
		{Name: "leak-bytes", Hooks: newDigests(false)},
		{Name: "ok-bytes", Hooks: newDigests(true)},
		{Name: "leak-helper", Hooks: newJournal(false)},
		{Name: "ok-helper", Hooks: newJournal(true)},
		{Name: "leak-tiny", Hooks: newMarks(false)},
		{Name: "ok-tiny", Hooks: newMarks(true)},

		{Name: "leak-append", Hooks: newRows(false)},
		{Name: "ok-append", Hooks: newRows(true)},
		{Name: "leak-share", Hooks: newThumbs(false)},
		{Name: "ok-share", Hooks: newThumbs(true)},
		{Name: "leak-wave", Hooks: newReports(false)},
		{Name: "ok-wave", Hooks: newReports(true)},
		{Name: "leak-attempt", Hooks: newFailures(false)},
		{Name: "ok-attempt", Hooks: newFailures(true)},

		{Name: "leak-context", Hooks: newDeadlines(false)},
		{Name: "ok-context", Hooks: newDeadlines(true)},
		{Name: "leak-contextafter", Hooks: newCleanups(false)},
		{Name: "ok-contextafter", Hooks: newCleanups(true)},
		{Name: "leak-afterfunc", Hooks: newExpiries(false)},
		{Name: "ok-afterfunc", Hooks: newExpiries(true)},
		{Name: "ok-timeafter", Hooks: newTimeAfter},
		{Name: "ok-ticker", Hooks: newUnstoppedTicker},
		{Name: "leak-finalizer", Hooks: newPairs(false)},
		{Name: "ok-finalizer", Hooks: newPairs(true)},
		{Name: "leak-time", Hooks: newHeartbeats(false)},
		{Name: "ok-time", Hooks: newHeartbeats(true)},
		{Name: "leak-metrics", Hooks: newUploadMetrics(false)},
		{Name: "ok-metrics", Hooks: newUploadMetrics(true)},
		{Name: "leak-signal", Hooks: newSignals(false)},
		{Name: "ok-signal", Hooks: newSignals(true)},
		{Name: "leak-errors", Hooks: newErrorChain(false)},
		{Name: "ok-errors", Hooks: newErrorChain(true)},
		{Name: "ok-intern", Hooks: newInterned},
	}
}
