// Package corpus is a synthetic Drive as a pure function: of a small spec, a seed and a generation.
//
// Nothing is stored per item. Items are numbered level by level, so that the children of a folder have consecutive
// ordinals, and parent and children follow from an ordinal by arithmetic over one small record per level. Kind, size,
// name, dates and flags follow from the ordinal through permutations, which makes every count exact and every total
// known without a visit to the files. A tree of ten million files takes some kilobytes and a millisecond.
//
// # Generations
//
// The same spec in another generation is the same tree, content included, with other ids: fresh work of the same
// shape. Ids carry the ordinal, the generation and a hash of the spec, and a check, so that ids of other trees and
// invented ids are refused without any table.
//
// # Content and checksums
//
// Any range of any file is made on demand, from slices of one block of random bytes in memory. The three checksums
// are those of the bytes, for files of up to 1 TiB, and take about a microsecond: a file is a prefix of one of a few
// shared streams, at whose states of the hashes package content starts, and a tail of its own of 16 to 79 bytes.
// What that means for those who look for corrupted copies:
//
//   - any two files of eight bytes or more differ, if only in their tails;
//   - every 1 MiB block of a stream is stamped with its variant and offset and is filled from a place of its own, so
//     a shifted, repeated, missing or cut range changes the bytes;
//   - a range that comes from another file shows unless both files share a stream, which one pair in 64 does (files of
//     up to 64 KiB), one in 8 (up to 4 GiB), and all beyond. The eight files of a class that are next to each other in
//     rank never share one.
//
// Sizes that are drawn from a distribution lie near checkpoints of the streams, so a listing never hashes; sizes that
// are written in a spec are exact, and cost at most 0.2 s once per stream if they lie between checkpoints.
//
// The package is for describing and making trees. It is not for serving them, and knows nothing of HTTP.
package corpus
