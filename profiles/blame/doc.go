// Package blame finds the user's frame in a stack, and names it as a person would: whose code allocated, or waits.
//
// A stack is a slice of [Frame], leaf first with inlined frames in place. A [Blamer] for a module makes a [Site] of it:
// the first frame of the module, else the dependency or the connection that it belongs to, else the standard library's.
// It reads no profile: that is package series.
package blame
