// Package ledger is the state of a migration on RabbitMQ as a plain state machine: a [Ledger] knows each item that was
// found and not settled, and changes by an [Event] at a time. It says which messages follow, and how all messages are
// written; [Audit] notices open items that are nowhere.
//
// It never talks to a broker and starts nothing: package rabbit feeds it and sees to it that it outlives a process.
package ledger
