package report

import (
	"fmt"
	"io"
)

// Markdown writes the short report of a run to w.
func Markdown(w io.Writer, run *Run) error {
	_, err := fmt.Fprintf(w, "# %s on %s\n", run.Record.Subject, run.Record.Corpus)
	return err
}
