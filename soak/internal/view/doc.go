// Package view serves recorded runs to a browser on this machine: an index, the report of each run (live while it goes
// on), the files of a run, and google/pprof's own web interface for every snapshot and for differences of two.
//
// It binds to loopback, answers to loopback names only, and opens nothing outside the directories of its runs: paths go
// through os.Root, and a profile's file names reach pprof's source view only when they are source files below the
// working directory, GOROOT or the module cache.
package view
