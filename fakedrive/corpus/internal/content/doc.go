// Package content makes the bytes that the files of a corpus share, and knows their checksums.
//
// There are a few streams of bytes, the variants. A file is a prefix of one of them, followed by a short tail of its
// own. MD5, SHA-1 and SHA-256 are chains, so the checksum of a long file can't be known without hashing all of it
// once; but it can be hashed once for all files, and before anybody asks. The state of the three hashes is known at
// many places of each stream (its checkpoints), and a file is summed by going on from there over its tail:
//
//   - below 1 MiB, states are made when a variant is first used, which takes milliseconds;
//   - from 1 MiB on, they come from a table in the source tree, states.bin: every MiB up to 64 MiB, every 64 MiB up to
//     16 GiB, every GiB up to 1 TiB. genstates made it in an hour, and tests check it step by step;
//   - anywhere else they are hashed from the checkpoint before, 0.2 s at worst, and remembered.
//
// The fewer the variants, the smaller the table: files share 64 of up to 64 KiB, 8 of up to 4 GiB, and one beyond.
//
// The package isn't for describing trees, nor for content that a person would look at.
package content
