// Package verify compares the objects in the S3 sink with the corpus: every file has to be present once,
// with its size and its MD5, and nothing else.
//
// The corpus is computed, not stored, so a tree of any size is checked in memory of one bit an item (by id) or some
// 20 bytes an item (by path). The package looks at no content: the sink has none, it has sums.
package verify

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/soak/internal/fakes3"
)

// By says how objects are matched with files.
type By string

// The ways to match.
const (
	Auto   By = ""     // ByID if the first object has an id in its metadata, else ByPath
	ByID   By = "id"   // by the Drive id in the object's metadata (IDMeta)
	ByPath By = "path" // by the key: folder names and file name, as rclone encodes them
)

// IDMeta is the object metadata that has the Drive id.
const IDMeta = "drive-id"

// maxExport is the longest content of a document that Drive exports; longer ones may be missing.
const maxExport = 10 << 20

// maxProblems is how many problems a report names; all are counted.
const maxProblems = 20

// Kind is the kind of fault of an object or a file.
type Kind string

// The kinds of problem.
const (
	Missing   Kind = "missing"    // a file has no object
	Duplicate Kind = "duplicate"  // a file has more than one, and no shortcut explains it
	WrongSize Kind = "wrong-size" // the object's size is not the file's
	WrongSum  Kind = "wrong-sum"  // the object's MD5, or that of a part, is not the content's
	Extra     Kind = "extra"      // an object belongs to no file of the tree
)

// Problem is one difference.
type Problem struct {
	Kind   Kind   `json:"kind"`
	Key    string `json:"key,omitempty"` // of the object
	ID     string `json:"id,omitempty"`  // of the file
	Detail string `json:"detail,omitempty"`
}

// Report is the result of one check.
type Report struct {
	By       By             `json:"by"`
	Prefix   string         `json:"prefix,omitempty"`
	Files    int64          `json:"files"`   // that must be there
	Objects  int64          `json:"objects"` // that are there
	Bytes    int64          `json:"bytes"`   // of the objects
	Counts   map[Kind]int64 `json:"counts"`
	Problems []Problem      `json:"problems"` // the first ones
	// Shortcuts are further copies of files that a shortcut leads to.
	Shortcuts int64 `json:"shortcuts,omitempty"`
	// Shadowed are files, compared by path, whose path another file of the tree has too: one object stands for all.
	Shadowed int64 `json:"shadowed,omitempty"`
	// Forgiven are missing files of a wave that failed, and Failed is why it did.
	Forgiven int64  `json:"forgiven,omitempty"`
	Failed   string `json:"failed,omitempty"`
	// Unexportable are documents too long to be exported that are missing.
	Unexportable int64 `json:"unexportable,omitempty"`
}

// OK says whether there is no difference. A report of no files and no objects is none.
func (r *Report) OK() bool { return len(r.Counts) == 0 && r.Files > 0 }

// Forgive takes missing files out of the report of a wave that failed: it was not to be complete.
func (r *Report) Forgive(why string) {
	r.Forgiven, r.Failed = r.Counts[Missing], why
	delete(r.Counts, Missing)
	r.Problems = slices.DeleteFunc(r.Problems, func(p Problem) bool { return p.Kind == Missing })
}

// Notes says in words what a reader should know beside the problems.
func (r *Report) Notes() []string {
	var notes []string
	add := func(n int64, text string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%d %s", n, text))
		}
	}
	for _, k := range []Kind{Missing, Duplicate, WrongSize, WrongSum, Extra} {
		add(r.Counts[k], string(k))
	}
	add(r.Forgiven, "missing, and not counted: the wave failed ("+r.Failed+")")
	add(r.Shortcuts, "more copies that shortcuts lead to")
	add(r.Shadowed, "files whose path another file has too")
	add(r.Unexportable, "documents too long to be exported")
	return notes
}

func (r *Report) add(p Problem) {
	r.Counts[p.Kind]++
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, p)
	}
}

// Check compares the entries of the sink, which must be all that is below prefix, in order of keys, with the tree.
func Check(ctx context.Context, t *corpus.Tree, prefix string, entries iter.Seq2[fakes3.Entry, error], by By) (*Report,
	error) {
	c := &checker{t: t, seen: make(bits, (t.Len()+63)/64), r: &Report{By: by, Prefix: prefix, Counts: map[Kind]int64{}}}
	for e, err := range entries {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		c.object(e)
	}
	c.missing()
	return c.r, nil
}

// expected says whether the tree's item must be in the sink.
func expected(it corpus.Item) bool { return it.Downloadable() }

type checker struct {
	t         *corpus.Tree
	r         *Report
	seen      bits
	paths     *pathIndex // made for ByPath
	shortcuts map[int64]bool
}

// bits is one bit an item.
type bits []uint64

func (b bits) has(n int64) bool { return b[n/64]&(1<<(n%64)) != 0 }
func (b bits) set(n int64)      { b[n/64] |= 1 << (n % 64) }

// object checks one object.
func (c *checker) object(e fakes3.Entry) {
	r := c.r
	r.Objects++
	r.Bytes += e.Size
	id := e.Metadata[IDMeta]
	if r.By == Auto {
		r.By = ByPath
		if id != "" {
			r.By = ByID
		}
	}
	n, why := c.find(e, id)
	if why != "" {
		r.add(Problem{Extra, e.Key, id, why})
		return
	}
	it := c.t.Item(n)
	again := c.seen.has(n)
	c.seen.set(n)
	switch detail := c.content(it, e); {
	case e.Size != it.ContentLength():
		r.add(Problem{WrongSize, e.Key, c.t.ID(n), fmt.Sprintf("%d bytes, not %d", e.Size, it.ContentLength())})
	case detail != "":
		r.add(Problem{WrongSum, e.Key, c.t.ID(n), detail})
	case again && c.reached(it):
		r.Shortcuts++
	case again:
		r.add(Problem{Duplicate, e.Key, c.t.ID(n), "the file has another object already"})
	}
}

// find returns the file that an object is of, or why there is none.
func (c *checker) find(e fakes3.Entry, id string) (n int64, why string) {
	if c.r.By == ByID {
		if id == "" {
			return 0, "no " + IDMeta + " in its metadata"
		}
		n, ok := c.t.Ordinal(id)
		switch {
		case !ok:
			return 0, "its id is of no item of this tree"
		case !expected(c.t.Item(n)):
			return 0, "its id is of an item without content, or in the trash"
		}
		return n, ""
	}
	if c.paths == nil {
		c.paths = indexPaths(c.t)
	}
	path := strings.TrimPrefix(strings.TrimPrefix(e.Key, c.r.Prefix), "/")
	return c.paths.find(c, path, e)
}

// missing finds the files without an object.
func (c *checker) missing() {
	if c.r.By == ByPath && c.paths == nil {
		c.paths = indexPaths(c.t)
	}
	for n := range c.t.Len() {
		it := c.t.Item(n)
		if !expected(it) {
			continue
		}
		c.r.Files++
		switch {
		case c.seen.has(n):
		case c.paths != nil && c.paths.shadowed(c, n):
			c.r.Shadowed++
		case it.Kind.Exportable() && it.ExportSize > maxExport:
			c.r.Unexportable++
		default:
			c.r.add(Problem{Missing, "", c.t.ID(n), pathOf(c.t, n)})
		}
	}
}

// reached says whether a shortcut leads to the item or to a folder that it is in.
func (c *checker) reached(it corpus.Item) bool {
	if c.shortcuts == nil {
		c.shortcuts = map[int64]bool{}
		for n := range c.t.Len() {
			if s := c.t.Item(n); s.Kind == corpus.Shortcut && !s.Trashed && !s.Dangling(c.t.Len()) {
				c.shortcuts[s.Target] = true
			}
		}
	}
	for n := it.Ordinal; n != corpus.None; n = c.t.Parent(n) {
		if c.shortcuts[n] {
			return true
		}
	}
	return false
}

// pathOf is the path of an item below the root.
func pathOf(t *corpus.Tree, n int64) string {
	return "/" + strings.Join(t.Path(n), "/")
}
