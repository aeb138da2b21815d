// Package profiles reads what a soak run recorded and says what holds the memory: leak, buffering, metadata or
// headroom, with function, file and line, and bytes per file, per worker or per byte of file size.
//
// Its opinion: verdicts come from contrasts between states that the trial created on purpose, not from the shape
// of a curve. What survives at floors (no work, two collections) and grows with a unit of finished work is retained;
// memory that appears in a held state and is gone at the floor is a buffer or metadata, by what varied between the
// holds: transfers, bytes, backlog. Where the deciding contrast is missing the verdict is inconclusive.
//
// The way of a trial, package by package, each of which imports only those above it:
//
//	record             the schema of recordings and verdicts
//	capture, trend     reading of profiles in any form; statistics that know no memory
//	blame              whose line is to blame for a stack
//	internal/words     sizes, counts and answers as a person says them
//	internal/threshold every threshold, with its reason
//	growth             what grew over profiles of a process that is only watched
//	internal/series    a recording as numbers: snapshots in order of time
//	internal/fit       what a quantity grows with: units, slopes
//	costs              bytes per unit, and what that comes to for planned work
//	internal/linear    memory as a sum of terms of the work
//	internal/finding   a finding, its evidence, and how findings of one fault merge
//	internal/classes   the rules: which findings a site, goroutines, connections and the collector make
//	internal/closure   what no finding explains, and how each hypothesis stands
//	internal/ends      trials that were killed, broken off or only watched
//	capacity           the memory model of a run, and what fits below a limit
//
// This package goes the way: [DiagnoseTrial] reads, judges and writes the headline, [DiagnoseRun] joins the trials of a
// run, [Judge] does it as they end, and a [Follower] while one is being recorded.
//
// It is not for taking measurements and imports nothing that does.
package profiles
