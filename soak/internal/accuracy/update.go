package accuracy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Baseline is where the results of a full run are committed, below the checkout.
const Baseline = "profiles/baselines/accuracy.json"

// The lines of README.md between which the table stands.
const (
	tableBegin = "<!-- accuracy: written by make accuracy UPDATE=1 -->\n"
	tableEnd   = "<!-- accuracy: end -->\n"
)

// ReadTallies are the conditions in Baseline of the checkout at root; none where there is no such file.
func ReadTallies(root string) ([]Tally, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(Baseline)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var r Report
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r.Conditions, err
}

// Update writes the report to Baseline and its table into README.md of the checkout at root.
func Update(root string, r *Report) error {
	path := filepath.Join(root, filepath.FromSlash(Baseline))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := record.Write(path, r); err != nil {
		return err
	}
	readme := filepath.Join(root, "README.md")
	text, err := os.ReadFile(readme)
	if err != nil {
		return err
	}
	if text, err = replaceTable(text, r.Markdown()); err != nil {
		return fmt.Errorf("%s: %w", readme, err)
	}
	return os.WriteFile(readme, text, 0o644)
}

// replaceTable puts the table between its marker lines.
func replaceTable(text []byte, table string) ([]byte, error) {
	before, rest, ok := bytes.Cut(text, []byte(tableBegin))
	_, after, ok2 := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !ok2 {
		return nil, errors.New("no markers of the accuracy table")
	}
	return fmt.Appendf(nil, "%s%s%s%s%s", before, tableBegin, table, tableEnd, after), nil
}

// tallyNote says how to read the table of conditions.
const tallyNote = `Live verdicts alone are counted; *again* are recordings judged again. *Comfort*, the wrong one, is
"healthy", or settings blamed, where a fault by nature is; its *rate* is at most 3/n where none of n was, at 95 %.
*Alarm* is the wrong one, *culprit* that it was named first. Files, seconds and the detection *limit*, in bytes a file,
are medians. Conditions called *older* were judged by earlier builds of the rules than the others. The set that was once
held out has been learned from since its first look: it is a regression set.
`

// Markdown is the report as a table for the README.
func (r *Report) Markdown() string {
	var b strings.Builder
	builds := ""
	if n := strings.Count(r.Build, "+"); n > 0 {
		builds = fmt.Sprintf(" of %d builds of the rules", n+1)
	}
	fmt.Fprintf(&b, "%d of %d planned trials%s: up to %d seeds, each with a worker count of its own,\n"+
		"protocol %s, %d CPUs, %s.\n\n", r.Trials, r.Planned, builds, r.Seeds, r.Protocol, r.Host.CPUs, r.Host.Go)
	b.WriteString(markdownTallies(r.Conditions) + "\n" + tallyNote + "\n")
	b.WriteString("| figure | measured | goal | observations |\n|---|---|---|---|\n")
	for _, f := range r.Figures {
		measured := number(f.Value) + " " + f.Unit
		if f.N == 0 {
			measured = "not measured"
		}
		if !f.Met() {
			measured = "**" + measured + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", strings.TrimSpace(f.Name), measured, f.goal(), f.N)
	}
	return b.String()
}
