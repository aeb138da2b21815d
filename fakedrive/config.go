package fakedrive

import (
	"log/slog"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault"
)

// The operations that rules of a fault plan may name.
const (
	OpList        fault.Op = "list"        // files.list
	OpGet         fault.Op = "get"         // files.get without alt=media
	OpDownload    fault.Op = "download"    // alt=media
	OpExport      fault.Op = "export"      // files.export and export links
	OpToken       fault.Op = "token"       // the three grants
	OpAbout       fault.Op = "about"       // about.get
	OpDrives      fault.Op = "drives"      // shared drives
	OpChanges     fault.Op = "changes"     // changes and start page tokens
	OpPermissions fault.Op = "permissions" // permissions of files
	OpRevisions   fault.Op = "revisions"   // revisions of files
	OpUpload      fault.Op = "upload"      // create and update with content, each chunk on its own
	OpWrite       fault.Op = "write"       // every other change
)

func ops() []fault.Op {
	return []fault.Op{OpList, OpGet, OpDownload, OpExport, OpToken, OpAbout, OpDrives, OpChanges, OpPermissions,
		OpRevisions, OpUpload, OpWrite}
}

// Config says what a Server serves. Start from DefaultConfig.
type Config struct {
	// Corpus is the tree of My Drive. nil serves an empty one, which clients can fill.
	Corpus     *corpus.Spec
	Generation uint64
	// More are trees to serve besides: each below its own root, and as a shared drive if its spec says so.
	More []*corpus.Spec
	// RequireAuth refuses requests without a token. Without it they are served, and only tokens that are expired or
	// revoked are refused.
	RequireAuth bool
	// TokenTTL is how long an access token lasts, PageTokenTTL how long a page token does.
	TokenTTL, PageTokenTTL time.Duration
	// MaxFiles bounds the files that clients may create; MaxMemory is how many bytes of their contents are kept in
	// memory, MaxDisk how many in all. Contents beyond MaxMemory are in files below Dir.
	MaxFiles           int
	MaxMemory, MaxDisk int64
	// Dir is where contents go, in a folder of their own that Close removes; "" is a temporary one. With State, it is
	// kept, with a journal, and what it holds is served again by the next Server.
	Dir   string
	State bool
	// ResourceKeys demands a resource key for the files that are shared with the user. AbusiveEvery refuses to send every
	// n-th binary file of a tree as malware unless the client acknowledges it; 0 refuses none.
	ResourceKeys bool
	AbusiveEvery int64
	// Log takes a note of each request refused or ended early. Default: discard.
	Log *slog.Logger
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// DefaultConfig is an empty Drive with the bounds and lifetimes of a small one.
func DefaultConfig() Config {
	return Config{
		TokenTTL: time.Hour, PageTokenTTL: 6 * time.Hour,
		MaxFiles: 1_000_000, MaxMemory: 64 << 20, MaxDisk: 10 << 30,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}
