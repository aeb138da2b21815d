// Package study runs the history that memsoak began with: each version of the service on corpora that tell its
// hypotheses apart, with the remedies that were proposed, the project's own migrator and rclone beside it, each in a
// real cgroup, and says from the recorded verdicts what held the memory. The service itself is package
// soak/replay/service; the facts of its versions are in soak/replay/history. Nothing here decides by a version's name.
//
// It uses memsoak as any other user does: it runs the program soak (run, diagnose, report) and reads the directory
// that a run leaves behind.
package study
