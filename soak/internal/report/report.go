package report

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"github.com/memsoak/memsoak/internal/replace"
)

// Names of the files that Generate writes into a run's directory.
const (
	HTMLFile     = "report.html"
	MarkdownFile = "report.md"
)

// Generate reads the run in runDir and writes report.html and report.md into it, or into the directory named beside it,
// each in one piece or not at all.
func Generate(ctx context.Context, runDir string, into ...string) error {
	dir := runDir
	if len(into) > 0 {
		dir = into[0]
	}
	run, err := Load(ctx, runDir)
	if err != nil {
		return err
	}
	var html, md bytes.Buffer
	if err := HTML(ctx, &html, run, Options{}); err != nil {
		return fmt.Errorf("report of %s: %w", runDir, err)
	}
	if err := Markdown(&md, run); err != nil {
		return fmt.Errorf("report of %s: %w", runDir, err)
	}
	if err := replace.File(filepath.Join(dir, HTMLFile), html.Bytes(), 0o644); err != nil {
		return err
	}
	return replace.File(filepath.Join(dir, MarkdownFile), md.Bytes(), 0o644)
}
