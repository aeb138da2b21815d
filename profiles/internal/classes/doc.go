// Package classes judges each site, group of goroutines, set of connections, area outside the heap and the collector,
// and gives what it believes its class. What a unit means is in package fit; what no class explains, in closure.
package classes
