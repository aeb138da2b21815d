// Package soak sweeps settings over a subject process and records, for each combination, an experiment that lets
// package profiles say what holds the memory. A [Config] describes the sweep, a [Plan] is what it comes to, a [Runner]
// carries it out and writes a run's directory, whose schema is package record's.
//
// It measures processes and judges nothing. The parts below internal do one thing each:
//
//	subject   the process under test: its contract, start, waves, end
//	fakes     the synthetic Drive and the S3 sink as processes
//	cgroup    a memory limit around the subject
//	sampler   one reading of everything that can be seen from outside
//	protocol  the experiment as data
//	trial     one trial: the experiment carried out and recorded
//	leftover  what a killed runner left behind
package soak
