// Package conformance holds no code of the server: its tests run clients of other authors, unmodified, against
// the binaries. They build and install what they need and take minutes, so they run only when asked to:
// make conformance, which sets MEMSOAK_CONFORMANCE.
package conformance
