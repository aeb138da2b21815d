// Package fault makes a fake service mistreat its clients by a plan, and counts their calls.
//
// Three things live here, for both fakes (the Drive and the S3 sink):
//
//   - faults: a [Plan] of rules (latency, resets, truncation, error replies ...) that [Control] carries out,
//     deterministically from the plan's seed;
//   - holds: points at which the next transfers stop until a runner releases them ([Hold], [Point]);
//   - counters: the covariates of an experiment ([Counters]).
//
// All three are reached over one small HTTP protocol below [AdminPrefix], served by [Control] and spoken by [Client].
// The package knows nothing of Drive or S3; it is not for simulating either.
package fault
