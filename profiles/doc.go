// Package profiles reads what a soak run recorded and says what holds the memory: leak, buffering, metadata or
// headroom, with function, file and line, and bytes per file, per worker or per byte of file size.
//
// Its opinion: verdicts come from contrasts between states that the trial created on purpose, not from the shape
// of a curve. What survives at floors (no work, two collections) and grows with a unit of finished work is retained;
// memory that appears in a held state and is gone at the floor is a buffer or metadata, by what varied between the
// holds: transfers, bytes, backlog. Where the deciding contrast is missing the verdict is inconclusive.
//
// The way through the package: a [Series] (ReadSeries) holds the [Snapshot]s of a trial, each with the live bytes per
// [Site]; a quantity (a site, a group of goroutines, a part of the process) is judged by its floors and by its holds;
// rules turn that into findings and [DiagnoseTrial] into a verdict. [DiagnoseRun] does it for every cell and fits the
// memory model across them. Every threshold stands in thresholds.go with its reason; the statistics alone are in the
// package trend, the schema of its input and output in the package record.
//
// It is not for taking measurements and imports nothing that does.
package profiles
