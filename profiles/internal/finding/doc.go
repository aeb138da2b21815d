// Package finding has a finding on its way to a verdict, [Judged]: the site, the term that decided, all memory
// that comes with its unit, and the evidence in words. It merges findings that are one fault and keeps them within the
// exact growth of the live heap.
package finding
