// Package words writes sizes, counts and capacities as a person says them, in the words of the subject's item: files
// of a copier, requests of a service. Nothing is decided by a sentence.
package words
