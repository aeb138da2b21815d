// Package record is the schema of a recorded run: what the soak runner writes and what the diagnosis, the report, the
// gate and the dashboards read. Types and file names only, with strict readers; it measures nothing and judges nothing.
//
//	<run>/run.json                       Run
//	<run>/cells/<cell>/trial-1/trial.json    Trial (phases, snapshots, peaks, outcome)
//	                          /samples.jsonl Sample, one a line, 1 Hz
//	                          /heap/NNNN-<phase>.pb.gz  /goroutine/NNNN-<phase>.pb.gz
//	                          /verdict.json  Verdict
//	                          /holders.json  Holders, when it was asked for
//	                          /subject.log
//	<run>/verdict.json                   RunVerdict
//
// All sizes are bytes, all times RFC 3339, all durations seconds.
package record
