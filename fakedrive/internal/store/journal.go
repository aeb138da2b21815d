package store

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/blob"
	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// journal is a file of one JSON record a line, each written before the change is answered. A nil journal keeps
// nothing. The first error of writing is kept for close: the Drive continues without its memory.
type journal struct {
	f   *os.File
	err error
}

// record is one line: a file put, or removed, or the list of the shared drives that clients made.
type record struct {
	Put    *savedEntry `json:"put,omitempty"`
	Remove string      `json:"remove,omitempty"`
	Drives []Drive     `json:"drives,omitzero"`  // empty, and not nil, when the last one was deleted
	Change int64       `json:"change,omitempty"` // the next change's token, then
}

type savedEntry struct {
	File    resource.File   `json:"file"`
	Content *savedContent   `json:"content,omitempty"`
	Seq     uint64          `json:"seq"`
	Gone    bool            `json:"gone,omitempty"`
	Shadow  bool            `json:"shadow,omitempty"` // of a tree's item
	Revs    []savedRevision `json:"revs,omitempty"`
}

type savedRevision struct {
	ID, MimeType, OriginalFilename string
	Modified                       time.Time
	KeepForever                    bool
	Content                        *savedContent
}

// savedContent names a content: a file of the blob store, or a tree's item.
type savedContent struct {
	Blob    string       `json:"blob,omitempty"`
	Sums    *corpus.Sums `json:"sums,omitempty"`
	Tree    string       `json:"tree,omitempty"`
	Altered bool         `json:"altered,omitempty"`
}

func (j *journal) put(e *entry) {
	if j == nil {
		return
	}
	saved := &savedEntry{File: e.f, Content: saveContent(e.f.Content), Seq: e.seq, Gone: e.gone, Shadow: e.src != nil}
	for _, r := range e.revs {
		saved.Revs = append(saved.Revs, savedRevision{r.ID, r.MimeType, r.OriginalFilename, r.Modified, r.KeepForever,
			saveContent(r.Content)})
	}
	j.write(record{Put: saved})
}

func (j *journal) remove(id string) {
	if j != nil {
		j.write(record{Remove: id})
	}
}

func (j *journal) drives(list []*Drive) {
	if j == nil {
		return
	}
	r := record{Drives: []Drive{}}
	for _, d := range list {
		if d.src == nil {
			r.Drives = append(r.Drives, *d)
		}
	}
	j.write(r)
}

// change notes the next change's token, so that tokens grow across restarts.
func (j *journal) change(next int64) {
	if j != nil {
		j.write(record{Change: next})
	}
}

func (j *journal) write(r record) {
	if j.err != nil {
		return
	}
	line, err := json.Marshal(r)
	if err == nil {
		_, err = j.f.Write(append(line, '\n'))
	}
	j.err = err
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	if err := errors.Join(j.err, j.f.Close()); err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	return nil
}

func saveContent(c resource.Content) *savedContent {
	switch c := c.(type) {
	case *blob.Blob:
		sums := c.Sums(corpus.AllHashes)
		return &savedContent{Blob: c.Name(), Sums: &sums}
	case *treeContent:
		return &savedContent{Tree: c.tree.ID(c.n)}
	case *altered:
		saved := saveContent(c.Content)
		saved.Altered = true
		return saved
	}
	return nil
}

// loadContent brings a content back. Blobs are adopted once each.
func (s *Store) loadContent(c *savedContent, blobs map[string]*blob.Blob) (content resource.Content, err error) {
	switch {
	case c == nil:
		return nil, nil
	case c.Tree != "":
		src, n, ok := s.locate(c.Tree)
		if !ok {
			return nil, fmt.Errorf("no tree has the item %s", c.Tree)
		}
		t := s.tree(src)
		it := t.Item(n)
		saved := contentOf(t, &it)
		content = &saved
	case blobs[c.Blob] != nil:
		content = blobs[c.Blob]
	case c.Sums == nil:
		return nil, errors.New("a content without checksums")
	default:
		b, err := s.blobs.Adopt(c.Blob, *c.Sums)
		if err != nil {
			return nil, err
		}
		blobs[c.Blob] = b
		content = b
	}
	if c.Altered {
		content = &altered{Content: content}
	}
	return content, nil
}

// restore reads a journal, if there is one, and starts a compacted one in its place.
func (s *Store) restore(name string) error {
	puts := map[string]*savedEntry{}
	f, err := os.Open(name)
	switch {
	case err == nil:
		err = s.replay(f, puts)
		f.Close()
		if err != nil {
			return fmt.Errorf("read the state in %s: %w", name, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the state: %w", err)
	}
	blobs := map[string]*blob.Blob{}
	for _, saved := range slices.SortedFunc(maps.Values(puts), func(a, b *savedEntry) int {
		return cmp.Compare(a.Seq, b.Seq)
	}) {
		if err := s.bringBack(saved, blobs); err != nil {
			return fmt.Errorf("read the state of %s in %s: %w", saved.File.ID, name, err)
		}
	}
	if err := s.blobs.Sweep(func(name string) bool { return blobs[name] != nil }); err != nil {
		return err
	}
	for _, b := range blobs {
		b.Release() // the entries have references of their own
	}
	return s.compact(name)
}

// replay reads records until the end, or until a last line that was cut short by a crash.
func (s *Store) replay(r io.Reader, puts map[string]*savedEntry) error {
	lines := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		switch {
		case rec.Put != nil:
			puts[rec.Put.File.ID] = rec.Put
		case rec.Remove != "":
			delete(puts, rec.Remove)
		case rec.Drives != nil:
			s.drives = slices.DeleteFunc(s.drives, func(d *Drive) bool { return d.src == nil })
			for _, d := range rec.Drives {
				s.drives = append(s.drives, &d)
			}
		case rec.Change > 0:
			s.changes.base = rec.Change
		}
	}
}

func (s *Store) bringBack(saved *savedEntry, blobs map[string]*blob.Blob) (err error) {
	e := &entry{f: saved.File, seq: saved.Seq, gone: saved.Gone, ord: -1}
	if saved.Shadow {
		src, n, ok := s.locate(saved.File.ID)
		if !ok {
			return nil // of a tree that is not served any more
		}
		e.src, e.ord = src, n
	}
	if e.f.Content, err = s.loadContent(saved.Content, blobs); err != nil {
		return err
	}
	for _, r := range saved.Revs {
		c, err := s.loadContent(r.Content, blobs)
		if err != nil {
			return err
		}
		e.revs = append(e.revs, Revision{ID: r.ID, Modified: r.Modified, MimeType: r.MimeType,
			OriginalFilename: r.OriginalFilename,
			Content:          c, KeepForever: r.KeepForever})
	}
	s.put(e)
	return nil
}

// compact writes what there is now to a new journal, puts it in the old one's place and keeps it open.
func (s *Store) compact(name string) error {
	f, err := os.Create(name + ".new")
	if err != nil {
		return fmt.Errorf("keep the state: %w", err)
	}
	j := &journal{f: f}
	j.drives(s.drives)
	for _, e := range slices.SortedFunc(maps.Values(s.entries), func(a, b *entry) int {
		return cmp.Compare(a.seq, b.seq)
	}) {
		j.put(e)
	}
	j.change(s.changes.next())
	if j.err == nil {
		j.err = os.Rename(f.Name(), name)
	}
	if j.err != nil {
		f.Close()
		return fmt.Errorf("keep the state: %w", j.err)
	}
	s.log = j
	return nil
}
