package resource

import (
	"io"
	"strings"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
)

// The MIME types that mean something to Drive itself.
const (
	AppPrefix    = "application/vnd.google-apps."
	Folder       = AppPrefix + "folder"
	Shortcut     = AppPrefix + "shortcut"
	Document     = AppPrefix + "document"
	Spreadsheet  = AppPrefix + "spreadsheet"
	Presentation = AppPrefix + "presentation"
	Drawing      = AppPrefix + "drawing"
)

// Content is the bytes of a file. It is immutable and safe for concurrent use.
type Content interface {
	Size() int64
	// Sums returns the wanted checksums; the others are zero.
	Sums(want corpus.Hashes) corpus.Sums
	// Open returns the bytes from offset to the end. The caller closes it.
	Open(offset int64) (io.ReadCloser, error)
}

// User is an account.
type User = corpus.User

// Permission grants a role on a file.
type Permission struct {
	Kind               string   `json:"kind,omitempty"`
	ID                 string   `json:"id,omitempty"`
	Type               string   `json:"type,omitempty"`
	Role               string   `json:"role,omitempty"`
	EmailAddress       string   `json:"emailAddress,omitempty"`
	Domain             string   `json:"domain,omitempty"`
	DisplayName        string   `json:"displayName,omitempty"`
	AllowFileDiscovery *bool    `json:"allowFileDiscovery,omitempty"`
	ExpirationTime     string   `json:"expirationTime,omitempty"`
	View               string   `json:"view,omitempty"`
	Deleted            *bool    `json:"deleted,omitempty"`
	PendingOwner       *bool    `json:"pendingOwner,omitempty"`
	PermissionDetails  []Detail `json:"permissionDetails,omitempty"`
}

// Detail says where a permission on an item of a shared drive comes from.
type Detail struct {
	PermissionType string `json:"permissionType"`
	Role           string `json:"role"`
	Inherited      bool   `json:"inherited"`
	InheritedFrom  string `json:"inheritedFrom,omitempty"`
}

// File is one file, folder, shortcut or document. Its zero times and empty strings are absent fields.
type File struct {
	ID, Name, MimeType, Description string
	OriginalFilename                string
	Parent                          string // empty: no parent that the user can see
	DriveID                         string // the shared drive it lives in
	Created, Modified, Viewed       time.Time
	TrashedAt, SharedAt             time.Time
	Version                         int64
	HeadRevision                    string
	Content                         Content `json:"-"` // nil for folders, shortcuts and a tree's documents
	DocSize                         int64   // what a document occupies
	Owner                           *User
	Starred                         bool
	ExplicitlyTrashed, Trashed      bool // Trashed also holds below a trashed folder
	SharedWithMe                    bool
	Abusive                         bool
	NoCopy                          bool // copyRequiresWriterPermission
	NoShare                         bool // writersCanShare is false
	TargetID, TargetMimeType        string
	TargetKey                       string // the resource key of a shortcut's target
	ResourceKey                     string
	FolderColor                     string
	Properties, AppProperties       map[string]string
	Permissions                     []Permission
	Space                           string // "" is "drive"
	Restrictions                    []byte // contentRestrictions as JSON
	Root                            bool   `json:"-"` // of My Drive, of a shared drive or of the app data
}

// IsFolder says whether the file is a folder.
func (f *File) IsFolder() bool { return f.MimeType == Folder }

// IsShortcut says whether the file is a shortcut.
func (f *File) IsShortcut() bool { return f.MimeType == Shortcut }

// IsDocument says whether the file is a Workspace document, which can only be exported.
func (f *File) IsDocument() bool {
	return strings.HasPrefix(f.MimeType, AppPrefix) && !f.IsFolder() && !f.IsShortcut()
}

// Size is the size that Drive reports. Folders and shortcuts have none.
func (f *File) Size() (n int64, ok bool) {
	switch {
	case f.IsDocument() && f.DocSize > 0:
		return f.DocSize, true
	case f.Content != nil:
		return f.Content.Size(), true
	case f.IsDocument():
		return 0, true
	}
	return 0, false
}

// Extension is the name's extension without the dot, and full the longest one known ("tar.gz").
func (f *File) Extension() (ext, full string) {
	i := strings.LastIndexByte(f.Name, '.')
	if i < 0 || i == len(f.Name)-1 {
		return "", ""
	}
	ext = f.Name[i+1:]
	full = ext
	if j := strings.LastIndexByte(f.Name[:i], '.'); j > 0 && f.Name[j+1:i] == "tar" {
		full = f.Name[j+1:]
	}
	return ext, full
}

// Shared says whether anyone but the owner has access.
func (f *File) Shared() bool { return f.SharedWithMe || len(f.Permissions) > 0 || f.DriveID != "" }
