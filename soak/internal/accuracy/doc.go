// Package accuracy finds out how often the verdicts are right: it runs the specimens, whose faults are known, as
// subjects of the soak runner, has each trial judged as any other, and compares the verdict with the truth.
//
// It counts strictly: inconclusive is wrong, so is a trial that does not end well, and a class without its function.
// Held-out specimens are counted apart.
package accuracy
