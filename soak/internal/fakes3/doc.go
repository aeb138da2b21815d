// Package fakes3 is the S3 sink: a server that takes any upload, checks it byte by byte as S3 does, remembers its size
// and MD5, and throws the content away. So a million uploads cost a listing's worth of memory, and an upload of any
// size costs a buffer.
//
// What S3's protocol is, gofakes3 knows; this package gives it a backend without content and stands before it to do
// what it doesn't: decode every aws-chunked variant, check x-amz-checksum-*, hold, throttle and strike uploads
// (github.com/memsoak/memsoak/fakedrive/fault), and refuse clearly what a sink can't do. It is not a store: an object
// that is not empty can't be read back.
//
// The package's assumptions about S3 are numbered, S3001 and so on, each beside its code and tied to a test.
package fakes3
