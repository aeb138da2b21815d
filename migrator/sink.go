package migrator

import (
	"context"
	"io"
)

// Names of the user metadata that every object carries.
const (
	MetaID       = "drive-id"       // the Drive id of the content
	MetaParent   = "drive-parent"   // the Drive id of the folder
	MetaShortcut = "drive-shortcut" // the Drive id of the shortcut that led to the content, if one did
	MetaMTime    = "mtime"          // Drive's modifiedTime, RFC 3339 in UTC with milliseconds
	MetaMIME     = "drive-mime"     // Drive's mimeType, which for an export isn't the object's Content-Type
	MetaMD5      = "drive-md5"      // Drive's md5Checksum in hex, where it has one
)

// Object is something stored or to be stored.
type Object struct {
	Key         string
	Size        int64
	MD5         string // hex; of a stored object only where the store has it
	ContentType string
	Metadata    map[string]string
}

// Sink is where objects go. Implementations are safe for concurrent use, don't retry, and return errors that carry an
// [*Error].
type Sink interface {
	// Stat returns the object stored under key; an error of class Missing when there is nothing.
	Stat(ctx context.Context, key string) (Object, error)
	// Put stores o with the bytes of body in one request. The store itself verifies o.MD5 (class BadDigest). With
	// create set, an object that exists already is left alone (class Exists) where the store knows how. When it
	// returns nil, body was read to its end and isn't read any more.
	Put(ctx context.Context, o Object, body io.Reader, create bool) error
	// Multipart begins an upload in parts, or takes up the one with the id upload again (class Missing when the
	// store has forgotten it).
	Multipart(ctx context.Context, o Object, upload string) (Upload, error)
}

// Upload is one object under way in parts. It is used by one goroutine.
type Upload interface {
	// ID names the upload for a later Sink.Multipart.
	ID() string
	// Part stores part number n (from 1) of size bytes; md5 is asked for the part's MD5 (hex) after body was read
	// and compared with the store's (class BadDigest). Storing a part again replaces it.
	Part(ctx context.Context, n int, body io.Reader, size int64, md5 func() string) error
	// Finish makes the object of parts 1 to n, or with n == 0 gives the upload up. With create set, an object that
	// exists already is left alone, as by Put.
	Finish(ctx context.Context, n int, create bool) error
}

// Checker is a Sink that can look at its destination before work starts.
type Checker interface {
	// Check fails with one clear line if the destination can't be written to, and says whether nothing is stored
	// below prefix.
	Check(ctx context.Context, prefix string) (empty bool, err error)
}
