// Package holders says who holds memory: for each allocation site it finds the root (a package variable, the goroutines
// of a function, a finalizer) without which its objects would be garbage, and a reference path from there to them.
//
// It reads a stopped process or a core file and the program's DWARF. Its opinion:
//
//   - The objects are not guessed. The runtime's heap profiler leaves a record on each object that it sampled, with the
//     stack that allocated it; those objects, weighted by their chance of being sampled, stand for their site.
//   - Holding is dominance: a root holds an object when every path to the object goes through it. Where two roots reach
//     the same objects, the object that they share is named, and where no root has a clear share, nothing is said.
//   - References are found conservatively: every word of a scannable object, of the package variables and of the
//     goroutines' stacks that points into the heap counts. A stale word can make a root look shared, never alone.
//   - The process is traced only to stop it (PTRACE_SEIZE): no breakpoint is planted, no instruction of it is run, and
//     should this process die, the kernel lets the other go on. A child of this process is stopped by SIGSTOP instead.
//
// The runtime's structures are read by the offsets that the DWARF of the program gives, and only those of the Go
// versions in Supported. Types and inlined calls are read with delve's DWARF libraries. Delve's own attaching is not
// used: it writes breakpoints into the text, waits for any child of the caller, and reads three times as much debug
// information.
package holders
