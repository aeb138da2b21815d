// Package ends judges trials whose states could not decide: those that were killed or broken off, by the memory at
// their end, and those that were only watched, by their curves.
package ends
