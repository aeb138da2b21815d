// Package fault is what a runner may ask of a fake, the Drive or the S3 sink, and the protocol in which it asks:
//
//   - faults: a [Plan] of rules (latency, resets, truncation, error replies ...), which decides what happens to each
//     [Request], deterministically from the plan's seed;
//   - holds: points at which the next transfers stop until a runner releases them ([Hold], [Point]);
//   - counters: the covariates of an experiment ([Counters]).
//
// All three are reached over one small HTTP protocol below [AdminPrefix], spoken by [Client] and served by package
// control, which carries them out. This package touches no request itself, and knows nothing of Drive or S3.
package fault
