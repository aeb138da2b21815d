package study

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The marks between which a page has the result.
const (
	pageBegin = "<!-- replay: written by make replay-page -->\n"
	pageEnd   = "<!-- end of replay -->\n"
)

// picturesDir is where a page's pictures are, beside it.
const picturesDir = "pictures"

// ErrPage is returned, wrapped, for a page without the marks.
var ErrPage = errors.New("no place for the result")

// WritePage puts the result into a page, in place of the one between its marks, and draws the pictures of the last
// version on the corpus that decided about it, if that cell is there, beside the page.
func (b *Bench) WritePage(ctx context.Context, r *Result, path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, rest, ok := bytes.Cut(page, []byte(pageBegin))
	_, tail, ends := bytes.Cut(rest, []byte(pageEnd))
	if !ok || !ends {
		return fmt.Errorf("%w: %s has no lines %q and %q", ErrPage, path, pageBegin, pageEnd)
	}
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(pageBegin)
	if err := r.WriteMarkdown(&out); err != nil {
		return err
	}
	out.WriteString(pageEnd)
	out.Write(tail)
	for _, c := range r.Cells {
		if c.Row != last || c.Corpus != Decisive {
			continue
		}
		if _, err := b.soak(ctx, nil, "report", c.Dir, "--pictures", filepath.Join(filepath.Dir(path),
			picturesDir)); err != nil {
			return err
		}
	}
	return os.WriteFile(path, out.Bytes(), 0o644)
}
