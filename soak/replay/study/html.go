package study

import (
	"bytes"
	_ "embed"
	"html/template"
	"os"
	"path/filepath"

	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/internal/units"
)

// flameID is the id, on the page of a run, of the flame graph at the peak of its first cell.
const flameID = "cell-1-peak"

//go:embed table.html
var tablePage string

//go:embed table.css
var tableStyle string

var tableTemplate = template.Must(template.New("table").Funcs(template.FuncMap{
	"css":   func() template.CSS { return template.CSS(tableStyle) },
	"bytes": units.FormatBytes,
}).Parse(tablePage))

// tableRow is a cell on the page of links. The addresses are empty for what isn't there.
type tableRow struct {
	*Cell
	Report, Flame string
}

// The texts of a row, as the Markdown table has them.
func (t tableRow) Slope() string { return t.slopeText() }
func (t tableRow) Claim() string { return t.holdsText() }
func (t tableRow) Star() string  { return t.star() }

// WriteHTML writes the table as a page whose rows lead to the report of each cell and to the flame graph in it, by
// addresses below the directory of path.
func (r *Result) WriteHTML(path string) error {
	rows := make([]tableRow, len(r.Cells))
	for i, c := range r.Cells {
		rows[i].Cell = c
		page := filepath.Join(c.Dir, reportFile)
		text, err := os.ReadFile(page)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		at, err := filepath.Rel(filepath.Dir(path), page)
		if err != nil {
			return err
		}
		rows[i].Report = filepath.ToSlash(at)
		if bytes.Contains(text, []byte(`id="`+flameID+`"`)) {
			rows[i].Flame = rows[i].Report + "#" + flameID
		}
	}
	var out bytes.Buffer
	if err := tableTemplate.Execute(&out, struct {
		*Result
		Conclusion []string
		Rows       []tableRow
	}{r, r.conclusion(), rows}); err != nil {
		return err
	}
	return replace.File(path, out.Bytes(), 0o644)
}
