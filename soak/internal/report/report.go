package report

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"github.com/memsoak/memsoak/profiles/record"
)

// Names of the files that Generate writes into a run's directory.
const (
	HTMLFile     = "report.html"
	MarkdownFile = "report.md"
)

// Generate reads the run in runDir and writes report.html and report.md into it, each at once or not at all.
func Generate(ctx context.Context, runDir string) error {
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
	if err := record.Replace(filepath.Join(runDir, HTMLFile), html.Bytes()); err != nil {
		return err
	}
	return record.Replace(filepath.Join(runDir, MarkdownFile), md.Bytes())
}
