// Package rabbit is a migrator.Queue on RabbitMQ (3.10 or later), for discovery and uploads in many processes. All
// queues are quorum queues, every message is confirmed by the broker before anything rests on it, and acknowledged by
// hand.
//
// What a process has and how far it is stands here; its connection is package link, the state of the migration package
// ledger, and package keeper says why one process keeps that and none is lost.
//
// # The ledger
//
// RabbitMQ has no step that takes one message and puts others, and it doesn't say how many messages are in flight. So
// the state of the whole migration (open items, progress, whether it is at its end) doesn't come from the lengths of
// queues: it is in a ledger, which knows each item that was found and not settled. The ledger is a plain state machine.
// Processes tell it what they did by events, each one message in the queue "events"; one of the processes, the keeper,
// applies them, and keeps the state as one message in the queue "state". Which one is the broker's choice: the state
// queue has a single active consumer. When it dies, the next process takes over.
//
// Work is in the queues "files" and "folders.N", one for each depth. Small files of a listing share a message, which is
// acknowledged when the last of them is out of the process's hands; the ledger knows each file by itself, so one that
// comes again with its neighbours, and is done, is dropped. Of folders, a process takes the deepest that it has, so the
// number of folders queued is bounded by depth and listers. A page of a folder is listed with the ledger's leave,
// which it doesn't give while more than a limit of files is open: so the broker's memory is bounded whatever the size
// of the tree. The ledger's own memory is that of the open items, a few bytes for each page that has open files.
//
// # Why nothing is lost, everything counts once, and the end is the end
//
// Items have numbers that are never given twice: pages get theirs from the ledger, with the keeper's epoch in front;
// files are numbered by the process that lists a page, below the page's number and that of the try, which the ledger
// counts. The ledger believes a page's files to exist only when the event that settles the page says so, and by its
// first settle only.
//
// The invariant is: for each item that is open in the committed state there is a message in a work queue, ready or in
// in flight, or an event that settles it in the event queue. Each step keeps it:
//
//   - The process that lists a page publishes its files, waits until the broker has them, then tells the ledger, waits
//     again, and then acknowledges the page. The ends of files are sent together a moment later (broker.Outbox), and
//     each is acknowledged once the broker has the event. At whatever point a process dies, the item comes again or its
//     event is there.
//   - The keeper applies events, publishes the folders that came of them and waits until the broker has them, commits,
//     and then acknowledges the events and answers. At whatever point it dies, the events come again to the next
//     keeper, which starts from the last commit.
//   - An item that isn't open (settled by another process, of a try that didn't count, numbered by a keeper that didn't
//     come to commit) changes nothing when it is settled: the event finds nothing to change. A process drops such an
//     item when the ledger says so, and the ledger answers from committed states only.
//
// So nothing is open if and only if everything that was found was settled: each settle opens what it found in the same
// transition of the state that closes the item itself. That is the end; no length of a queue and no clock is asked.
// Each item is counted in that transition, too, so it counts once, however often it came. The messages left in the work
// queues at the end are second copies, which are removed.
//
// A process that hears nothing though something should come (an answer of the ledger, the confirmation of a message, an
// item that is ready) connects again after a while. That is always safe: at worst an item comes twice. Only while the
// broker says that it is full no process does.
//
// # What a broker may lose
//
// A node of RabbitMQ that is killed knows a quorum queue by a list of names, and it writes the last name of that list
// with a delay of seconds (3.10.8). Without that name the queue comes back empty and without a leader. So who begins a
// migration declares one more queue behind its own, and only then anything is put into them: see link.Conn.Seal.
//
// Items may be lost all the same, because a queue is purged or a disk loses synced data. The loss is noticed: the
// ledger has open items, and for a time in which a dead process's items would have come back none is ready, none is in
// the hands of a process (those tell it now and then), and no event is about one: see ledger.Audit. Then every call
// fails, and the migration has to be begun again. It never counts as done, since the ledger knows the open items.
//
// Each migration draws a number at random that all of its items and events bear, so that nothing of one that was
// forgotten counts in the next.
//
// # What this isn't
//
// Locks are exclusive queues, which end with the connection of their owner. A process that is cut off in the
// middle of taking a key from another file has lost its lock without knowing it.
//
// RabbitMQ before 3.12 knows no limit per queue for how long a message may be in hand: its consumer_timeout, half an
// hour by default, has to be longer than the longest upload, else that file is handed to others, too.
package rabbit
