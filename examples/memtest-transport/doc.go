// Package transport is an example of memtest on a client of an HTTP service: see the test. It is a module of its own,
// so that the migrator's module doesn't require memtest.
package transport
