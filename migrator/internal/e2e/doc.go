// Package e2e holds the migrator's tests with real parts: the migrator and both fakes as processes, killed and struck
// by faults, and every object compared with the corpus afterwards. It has no code of its own.
package e2e
