// Package replay runs the history that memsoak began with: each version of the service on corpora that tell its
// hypotheses apart, with the remedies that were proposed, the project's own migrator and rclone beside it, each in a
// real cgroup, and says from the recorded verdicts what held the memory. The service itself is package
// soak/replay/service; what is known of its versions is soak/replay/history. Nothing here decides by a version's name.
package replay
