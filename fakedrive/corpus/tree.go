package corpus

import (
	"errors"
	"io"
	"iter"
)

// Spec describes a tree.
type Spec struct{ Name string }

// Tree is a synthetic Drive.
type Tree struct{}

var errUnbuilt = errors.New("not built yet")

// Presets returns the names of the presets.
func Presets() []string { return nil }

// Preset returns the spec of a preset.
func Preset(name string) (*Spec, error) { return nil, errUnbuilt }

// ParseSpec reads a spec from YAML. Errors are one line with line and column.
func ParseSpec(text []byte) (*Spec, error) { return nil, errUnbuilt }

// New returns the tree of a spec.
func New(spec *Spec, generation uint64) (*Tree, error) { return nil, errUnbuilt }

// Spec returns a copy of the tree's spec.
func (t *Tree) Spec() Spec { return Spec{} }

// Generation returns the tree's generation.
func (t *Tree) Generation() uint64 { return 0 }

// Len returns the number of items, the root included.
func (t *Tree) Len() int64 { return 0 }

// Root returns the ordinal of the root folder, which is 0.
func (t *Tree) Root() int64 { return 0 }

// Item returns item n. It panics unless 0 <= n < Len.
func (t *Tree) Item(n int64) Item { return Item{} }

// Name returns the name of item n.
func (t *Tree) Name(n int64) string { return "" }

// Parent returns the parent of item n.
func (t *Tree) Parent(n int64) int64 { return None }

// IsFolder says whether item n is a folder.
func (t *Tree) IsFolder(n int64) bool { return false }

// Children returns the first child of folder n and the number of its children: their ordinals are consecutive,
// folders first. count is 0 for an empty folder and for what is no folder.
func (t *Tree) Children(n int64) (first, count int64) { return 0, 0 }

// Subfolders returns the number of folders among the children of folder n.
func (t *Tree) Subfolders(n int64) int64 { return 0 }

// ID returns the Drive id of item n.
func (t *Tree) ID(n int64) string { return "" }

// AppendID appends the Drive id of item n to b.
func (t *Tree) AppendID(b []byte, n int64) []byte { return b }

// Ordinal returns the item with the id; ok is false for ids of other trees and generations.
func (t *Tree) Ordinal(id string) (n int64, ok bool) { return 0, false }

// Key identifies a tree among the trees that one server serves.
type Key struct {
	Tag        uint32 // hash of the spec
	Generation uint64
}

// Key returns the tree's key.
func (t *Tree) Key() Key { return Key{} }

// ParseID says which item of which tree the id names; ok is false for what is no id of this package.
func ParseID(id string) (k Key, n int64, ok bool) { return Key{}, 0, false }

// Flagged returns how many items carry the flag, FlaggedAt the k-th of them: clients' searches for starred, shared and
// trashed items don't have to scan the tree.
func (t *Tree) Flagged(f Flag) int64 { return 0 }

// FlaggedAt returns the ordinal of the k-th item with the flag, in no particular but a stable order.
func (t *Tree) FlaggedAt(f Flag, k int64) int64 { return 0 }

// Sums returns the checksums of item n's content.
func (t *Tree) Sums(n int64) Sums { return Sums{} }

// SumsOf returns the wanted checksums of item n's content; the others are zero.
func (t *Tree) SumsOf(n int64, want Hashes) Sums { return Sums{} }

// Open returns the content of item n from offset on.
func (t *Tree) Open(n, offset int64) *Reader { return &Reader{} }

// OpenRange returns length bytes of the content of item n from offset on, fewer where the content ends before.
func (t *Tree) OpenRange(n, offset, length int64) *Reader { return &Reader{} }

// Reader reads a range of a file. It isn't safe for concurrent use.
type Reader struct{}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) { return 0, io.EOF }

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (int64, error) { return 0, nil }

// Len returns the number of bytes left.
func (r *Reader) Len() int64 { return 0 }

// Path returns the names from the root's child down to item n.
func (t *Tree) Path(n int64) []string { return nil }

// All yields every item in the order of ordinals.
func (t *Tree) All() iter.Seq[Item] { return func(func(Item) bool) {} }

// Walk calls visit for every item below folder n, parents before their children, siblings in order. depth-first.
func (t *Tree) Walk(n int64, visit func(it Item, path string) error) error { return errUnbuilt }

// SharedDrive returns the name of the shared drive that the tree is, "" for a tree in My Drive.
func (t *Tree) SharedDrive() string { return "" }

// Me returns the account that owns the Drive.
func (t *Tree) Me() User { return User{} }

// Stats are the statistics of a tree.
type Stats struct {
	Files        int64 `json:"files"` // everything but folders
	Folders      int64 `json:"folders"`
	Binaries     int64 `json:"binaries"`
	Documents    int64 `json:"documents"` // of all three kinds
	Shortcuts    int64 `json:"shortcuts"`
	Dangling     int64 `json:"dangling"` // of the shortcuts
	Trashed      int64 `json:"trashed"`  // files in the trash, those in trashed folders included
	Downloadable int64 `json:"downloadable"`
	Starred      int64 `json:"starred"`
	SharedWithMe int64 `json:"shared_with_me"`
	Bytes        int64 `json:"bytes"`        // of all binaries
	ExportBytes  int64 `json:"export_bytes"` // one export of each document
	Largest      int64 `json:"largest"`      // binary
	Smallest     int64 `json:"smallest"`
	Depth        int   `json:"depth"`
	MaxChildren  int64 `json:"max_children"`
}

// Stats returns the tree's statistics. They are computed without visiting the files.
func (t *Tree) Stats() Stats { return Stats{} }
