// Package gate turns a recorded run into pass, fail or inconclusive.
//
// Two questions are asked. Thresholds are absolute: expressions over named quantities of a cell ([Threshold],
// [Quantities]). The comparison is relative: a run against a baseline, accepted earlier or recorded from another
// revision on the same machine. Quantities that don't depend on the machine (held live heap, slopes, goroutines) decide
// first; resident memory has a wider band.
//
// The opinion: data that is missing, short or foreign never passes, and a threshold that can't fail is refused before
// the run. The package reads recordings; it runs nothing and measures nothing.
package gate
