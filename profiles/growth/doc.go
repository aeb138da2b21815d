// Package growth judges series of profiles without a controlled load: a pod's from last night, a service's, watched
// for a minute. It is arithmetic over sizes and times; it reads no files.
//
// Its opinion: the total is tested first, with all profiles, and only then taken apart into causes. Growth is found
// where three questions have the answer yes: do later profiles rank above earlier ones (Kendall), is the drift more
// than the ups and downs from one stretch to the next would make (so that a wandering cache isn't one), and is it more
// than the profiler's sampling makes, by the rate that the profiles name. Memory that rose and then stayed differs from
// memory that rises. Where an answer is no, it says which growth would have been seen.
//
// A leak, a cache that isn't full and work that piles up grow alike. The package says that something grows, where, and
// what would decide between them; it never says healthy.
package growth
