// Package accuracy finds out how often the verdicts are right: it runs the specimens, whose faults are known, as
// subjects of the soak runner, has each trial judged as any other, and compares the verdict with the truth.
//
// It counts by condition (a quiet machine, a tenth of a processor, services far away, ...) and the errors apart: wrong
// comfort, which is the worst, wrong alarm, inconclusive, and faults that were seen and misnamed. Only live verdicts
// count; recordings that are judged again stand beside them. Specimens that were once held out are a regression set and
// counted apart.
package accuracy
