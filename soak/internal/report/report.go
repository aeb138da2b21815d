package report

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	if err := replace(filepath.Join(runDir, HTMLFile), html.Bytes()); err != nil {
		return err
	}
	return replace(filepath.Join(runDir, MarkdownFile), md.Bytes())
}

// replace writes b to path by way of a temporary file, so that a reader never sees half a report.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
