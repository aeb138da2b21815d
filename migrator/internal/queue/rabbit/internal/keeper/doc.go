// Package keeper feeds the ledger with the events of all processes, in the one process that the broker lets do so, and
// publishes what follows. It never takes an item.
//
// # Why there is one keeper
//
// A commit is a message to the state queue that has come back to the keeper: that happens only while the queue holds it
// to be the active consumer, and until the next one becomes that, the message is in the queue. A process that becomes
// the keeper reads the queue as far as a message of its own that it sends then, and takes the state of the highest
// epoch and version: so it takes one no older than any that was committed, and no process acts upon a state that isn't
// committed. Its epoch is that state's plus the number of greetings that it saw, which stay in the queue until a
// commit: a keeper before it that got no commit through saw fewer of them, so even its last words have a lower epoch
// and are passed over. This doesn't depend on clocks, nor on a dead keeper being dead rather than slow: commits of the
// slow one don't come back.
package keeper
