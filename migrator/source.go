package migrator

import (
	"context"
	"io"
	"time"
)

// Entry is one child of a folder, as a [Source] lists it.
type Entry struct {
	ID       string
	Name     string // as the source shows it: any Unicode, not unique in its folder
	MIME     string
	Size     int64  // bytes; -1 when unknown (documents that are exported)
	MD5      string // lower-case hex; empty when the source has none
	Modified time.Time
	// Folder entries are listed; Document entries have no bytes of their own and are exported.
	Folder   bool
	Document bool
	// TargetID is set for shortcuts: the id of what they point at. MIME, Folder and Document then speak of the
	// target; Size, MD5 and Modified are the target's only after a Stat of it.
	TargetID string
	// Parents and Trashed are filled in by Stat only.
	Parents []string
	Trashed bool
}

// Listing asks for one page of a folder's children, in any order.
type Listing struct {
	Folder string
	Page   string // token of an earlier page's Next; empty for the first
}

// Page is one page of a listing.
type Page struct {
	Entries []Entry
	Next    string // empty on the last page
}

// Content names the bytes of one file.
type Content struct {
	ID     string
	Export string // MIME type to export to; empty for the file's own bytes
	Size   int64  // expected length, -1 when unknown: a stream that ends elsewhere is an error
}

// Source is where files come from. Implementations are safe for concurrent use, don't retry, and return errors that
// carry an [*Error] so that the Copier can decide.
type Source interface {
	// List returns one page of a folder. A page token that the source no longer knows is an error of class PageGone.
	List(ctx context.Context, l Listing) (Page, error)
	// Stat returns what List would say of one item, and its parents.
	Stat(ctx context.Context, id string) (Entry, error)
	// Open returns the content from offset on. The caller closes it. Exports open at offset 0 only.
	Open(ctx context.Context, c Content, offset int64) (io.ReadCloser, error)
}
