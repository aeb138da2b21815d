// Package store is what the Drive holds: synthetic trees that are computed on read, and above them an overlay of
// everything that clients wrote. A file of a tree that a client changes is copied into the overlay and shadows the
// original from then on.
//
// The package answers by id and enumerates in a stable order that survives concurrent writes: pages continue after a
// position, never after a count. It knows nothing of HTTP, of roles or of error replies. A Store is safe for concurrent
// use; the files it hands out are copies or immutable.
package store
