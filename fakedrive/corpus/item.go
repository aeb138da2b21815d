package corpus

import (
	"encoding/hex"
	"fmt"
	"time"
)

// Kind is what an item is.
type Kind uint8

// The kinds of items. Document, Spreadsheet and Presentation have no content of their own, only exports.
const (
	Folder Kind = iota
	Binary
	Document
	Spreadsheet
	Presentation
	Shortcut
)

var kindNames = [...]string{"folder", "binary", "document", "spreadsheet", "presentation", "shortcut"}

// String returns the kind's name in lower case.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Exportable says whether items of the kind are Workspace documents, which are exported and not downloaded.
func (k Kind) Exportable() bool { return k == Document || k == Spreadsheet || k == Presentation }

// MIME types of the kinds that have one fixed type.
const (
	MimeFolder       = "application/vnd.google-apps.folder"
	MimeDocument     = "application/vnd.google-apps.document"
	MimeSpreadsheet  = "application/vnd.google-apps.spreadsheet"
	MimePresentation = "application/vnd.google-apps.presentation"
	MimeShortcut     = "application/vnd.google-apps.shortcut"
)

// None stands for "no item" where an ordinal is expected.
const None int64 = -1

// Item is one folder, file, document or shortcut of a tree. Sizes are in bytes, times in UTC with whole milliseconds.
type Item struct {
	Ordinal int64 // 0 is the root folder
	Parent  int64 // ordinal of the parent folder; None for the root
	Depth   int   // 0 for the root, 1 for its children
	Kind    Kind
	Name    string
	// MimeType is the item's own type, for a shortcut MimeShortcut.
	MimeType string
	// Size is the length of a binary's content. For Workspace documents it is what Drive reports as their size,
	// which is not the length of their export. 0 for folders and shortcuts.
	Size int64
	// ExportSize is the length of the content that any export of a Workspace document has; 0 for other kinds.
	ExportSize int64
	// Target is the ordinal that a shortcut points at, None for other kinds. A dangling shortcut points at or past
	// Tree.Len: Tree.ID gives it an id, which Tree.Ordinal refuses.
	Target     int64
	TargetMime string // MIME type of a shortcut's target; set for dangling shortcuts too
	Created    time.Time
	Modified   time.Time
	// Trashed is set for explicitly trashed items and for everything inside of a trashed folder.
	Trashed           bool
	ExplicitlyTrashed bool
	Starred           bool
	SharedWithMe      bool
	Owner             User
	content           Content
}

// Content returns the item's content, which is empty for folders and shortcuts.
func (it *Item) Content() Content { return it.content }

// ContentLength returns the number of bytes that Open yields: the content of a binary, the export of a document.
func (it Item) ContentLength() int64 {
	if it.Kind == Binary {
		return it.Size
	}
	return it.ExportSize
}

// Downloadable says whether the item has content or an export and isn't in the trash.
func (it Item) Downloadable() bool { return (it.Kind == Binary || it.Kind.Exportable()) && !it.Trashed }

// Dangling says whether the item is a shortcut to nothing in a tree of n items.
func (it Item) Dangling(n int64) bool { return it.Kind == Shortcut && it.Target >= n }

// User is an account of the synthetic Drive.
type User struct {
	Name  string `json:"displayName"`
	Email string `json:"emailAddress"`
	// PermissionID is the user's stable id, as in Drive's permissions.
	PermissionID string `json:"permissionId"`
	Me           bool   `json:"me"`
}

// Sums are the checksums of an item's content.
type Sums struct {
	MD5    [16]byte
	SHA1   [20]byte
	SHA256 [32]byte
}

// MD5Hex returns the MD5 as lower-case hexadecimal digits, as Drive writes it.
func (s Sums) MD5Hex() string { return hex.EncodeToString(s.MD5[:]) }

// Hashes is a set of checksums.
type Hashes uint8

// The checksums that Drive has.
const (
	MD5 Hashes = 1 << iota
	SHA1
	SHA256
	AllHashes = MD5 | SHA1 | SHA256
)

// Flag names a property that few files of a tree have and that clients search for.
type Flag uint8

// The flags.
const (
	Starred Flag = iota
	SharedWithMe
	Trashed // explicitly trashed files and folders
)

// Has says whether the item is among those that [Tree.FlaggedAt] finds by the flag.
func (it *Item) Has(f Flag) bool {
	switch f {
	case Starred:
		return it.Starred
	case SharedWithMe:
		return it.SharedWithMe
	}
	return it.ExplicitlyTrashed
}
