// Package memtest checks, inside an ordinary Go test, that repeating an operation retains nothing: no heap, no
// goroutine, no connection. It names the line that holds what stays.
//
//	func TestCopyRetainsNothing(t *testing.T) {
//		memtest.Check(t, func() { copyOneFile() })
//	}
//
// For a whole package:
//
//	func TestMain(m *testing.M) { memtest.VerifyTestMain(m) }
//
// # What it does
//
// The operation runs in equal waves. Between waves the package collects garbage until the heap is settled and reads an
// exact profile (every allocation recorded), so that what a line retains per operation is counted, not estimated. A
// line is reported when it grew both since the operations have doubled and before: a pool or a cache that is full
// isn't, and an array that doubles its size now and then is. While anything grows, more waves run, for two seconds or
// until a quarter of MaxLeak has leaked, so that a cache that still fills has time to reach its bound.
//
// # What it says
//
// One finding per cause. Where something grew, the package writes a heap dump, follows the pointers, and groups what
// points to each other: goroutines come first, with the objects that their stacks hold; then connections, with the line
// that opened them; then bytes, at the object that holds the others. Beside the line of a library stands the line of
// the module under test that led there, also where goroutines lie between. Without a dump (a heap above 2 GiB, a
// goroutine in a system call, a format that isn't known) findings are grouped by that line alone.
//
// # What it doesn't see
//
// Memory outside the Go heap (mmap, cgo), and bytes of objects below 16 B without pointers, of which the runtime
// records the first of each block. Goroutines of package testing and of this package aren't counted. Sockets are
// counted by the kernel on Linux, and by the descriptors of package net elsewhere.
//
// It is not for benchmarks (recording every allocation is slow) and not for processes other than the test's own: for
// those, run soak. The module needs the standard library alone, so that requiring it changes no other version.
package memtest
