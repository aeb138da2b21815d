// Package link is a process's connection to RabbitMQ: the queues of a migration there, messages that the broker has
// confirmed, locks. A [Conn] dies as a whole at its first error and waits for nothing for ever; [Passing] says which
// errors a new one helps against, [Explain] what to do about the others.
//
// It never connects again by itself, and never knows what a message says: that is for package rabbit.
package link
