// Package tui shows a run on a terminal: a live table of its cells while it runs, and a summary of ten lines, the
// answer first, when it is over. Without a terminal it writes the events as lines, or as JSON for programs.
//
// It reads no keys: Ctrl-C reaches the runner as a signal, as it does without a table. Colours follow NO_COLOR and
// what the terminal can do.
package tui
