// Package resource is the file resource of Drive as this server holds it, and its JSON.
//
// Pages of a thousand files are the hot path of a listing, so the JSON is written by hand: an [Encoder] is compiled
// from a field mask once a request and appends each file to a buffer. The package knows nothing of HTTP or of storage.
package resource
