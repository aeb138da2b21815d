// Package content makes the bytes that the files of a corpus share, and knows their checksums.
package content
