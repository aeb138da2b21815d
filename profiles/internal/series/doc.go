// Package series reads recordings, a trial's directory or loose profiles, into numbers: a [Series] of
// [Snapshot]s in order of time, each with the live bytes per site, the goroutines per group, and what the kernel, the
// runtime and the fakes counted. It keeps no profile and judges nothing.
package series
