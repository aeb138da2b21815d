// Package capacity fits a memory model to the trials of a run and answers from it: how many workers and files fit below
// a limit, which limit they need, which peak to expect. No answer reaches beyond what the trials are grounds for, and
// no prediction is below a measurement.
//
// It is for the root package, which collects the evidence, and for what verifies an answer with a real trial.
package capacity
