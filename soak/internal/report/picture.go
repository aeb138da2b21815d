package report

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/profiles/blame"
)

// Names of the files that Pictures writes.
const (
	MemoryPicture = "memory.svg"
	FlamePicture  = "flame.svg"
)

// ErrNoPicture is returned, wrapped, for a run without samples or profiles to draw.
var ErrNoPicture = errors.New("nothing to draw")

// Pictures draws the worst cell's memory over time, and the flame graph of its fullest snapshot, as files of their own
// in dir: for pages that show a report's pictures without the report. It returns their paths.
func Pictures(run *Run, dir string) ([]string, error) {
	t, err := worstTrial(run)
	if err != nil {
		return nil, err
	}
	memory := memoryPicture(run, t)
	flame, err := flamePicture(run, t)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	paths := []string{filepath.Join(dir, MemoryPicture), filepath.Join(dir, FlamePicture)}
	return paths, errors.Join(replace.File(paths[0], memory, 0o644), replace.File(paths[1], flame, 0o644))
}

// worstTrial is the main trial of the cell with the largest peak.
func worstTrial(run *Run) (*Trial, error) {
	var worst *Cell
	for _, c := range run.Cells {
		t := c.Main()
		if t == nil || t.Record == nil || len(t.Samples) < 2 {
			continue
		}
		if worst == nil || c.Peak().Bytes() > worst.Peak().Bytes() {
			worst = c
		}
	}
	if worst == nil {
		return nil, fmt.Errorf("%w: no trial of %s has samples", ErrNoPicture, run.Dir)
	}
	return worst.Main(), nil
}

// Measures of the pictures, in CSS pixels.
const (
	legendHeight = 20
	legendGap    = 22
	letter       = 6.2 // of a legend's text, on average
	flameRow     = 19
)

// memoryPicture is the timeline with its key below it.
func memoryPicture(run *Run, t *Trial) []byte {
	f := timeline(t, Options{}.limit(run, t))
	chart := string(f.Wide)
	body := chart[strings.Index(chart, ">")+1 : strings.LastIndex(chart, "</svg>")]
	var b bytes.Buffer
	begin(&b, wideWidth, chartHeight+legendHeight, "Memory of the subject over time")
	fmt.Fprintf(&b, `<g class="chart">%s`, body)
	x := 8.0
	for _, k := range f.Key {
		fmt.Fprintf(&b, `<rect class="k k-%s" x="%.0f" y="%d" width="12" height="6"/><text x="%.0f" y="%d">%s</text>`,
			html.EscapeString(k.Ink), x, chartHeight+6, x+16, chartHeight+13, html.EscapeString(k.Text))
		x += 16 + letter*float64(len(k.Text)) + legendGap
	}
	b.WriteString("</g></svg>\n")
	return b.Bytes()
}

// flamePicture is the flame graph of the live memory in the trial's fullest snapshot.
func flamePicture(run *Run, t *Trial) ([]byte, error) {
	dir := filepath.Join(run.Dir, filepath.FromSlash(t.Dir))
	top, live, err := peak(dir, t.Record)
	if err != nil {
		return nil, err
	}
	if top == nil {
		return nil, fmt.Errorf("%w: no heap profile in %s", ErrNoPicture, dir)
	}
	paint := painter{blamer: blame.NewBlamer(t.Record.Subject.Module), culprits: culprits(t.Verdict)}
	f := paint.draw("", live, pictureFrames)
	var b bytes.Buffer
	begin(&b, wideWidth, f.Rows*flameRow, fmt.Sprintf("Flame graph of %s live; the largest function of the subject is %s",
		Bytes(f.Total), f.Largest))
	for _, fr := range f.Frames {
		x, w, y := fr.Left*wideWidth/100, math.Max(0.5, fr.Width*wideWidth/100-1), fr.Row*flameRow
		class := fr.Kind
		if fr.Culprit {
			class += " hit"
		}
		fmt.Fprintf(&b, `<rect class="box %s" x="%.1f" y="%d" width="%.1f" height="%d" rx="2"><title>%s %s</title></rect>`,
			class, x, y, w, flameRow-1, html.EscapeString(fr.Name), Bytes(fr.Bytes))
		if text := fitting(fr.Short+" "+Bytes(fr.Bytes), fr.Short, w-6); text != "" {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`, x+4, y+flameRow-6, html.EscapeString(text))
		}
	}
	b.WriteString("</svg>\n")
	return b.Bytes(), nil
}

// pictureFrames are as many frames as a picture has room for.
const pictureFrames = 120

// fitting is the first text that fits into the width, the last one cut off, or none where hardly a letter has room.
func fitting(long, short string, width float64) string {
	room := int(width / letter)
	switch {
	case len(long) <= room:
		return long
	case len(short) <= room:
		return short
	case room < 4:
		return ""
	}
	return strings.ToValidUTF8(short[:room-1], "") + "…"
}

// begin opens a picture in the report's colours, light or dark as its viewer is.
func begin(b *bytes.Buffer, width, height int, label string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" `+
		`aria-label="%s"><style>`,
		width, height, width, height, html.EscapeString(label))
	for line := range strings.Lines(Style()) {
		switch {
		case strings.HasPrefix(line, ":root{"), strings.HasPrefix(line, "--"), strings.HasPrefix(line,
			"@media (prefers-color-scheme:dark){:root{"),
			strings.HasPrefix(line, ".chart"), strings.HasPrefix(line, ".mark"), strings.HasPrefix(line, ".band"),
			strings.HasPrefix(line, ".b-"):
			b.WriteString(html.EscapeString(line))
		}
	}
	b.WriteString(pictureStyle)
	fmt.Fprintf(b, `</style><rect width="%d" height="%d" class="page"/>`, width, height)
}

// pictureStyle has what only pictures have.
const pictureStyle = `.page{fill:var(--card)}.k{fill:var(--k)}
text{font:11px Arial,"Liberation Sans",Helvetica,sans-serif;fill:var(--frame)}
.box{fill:var(--std)}.box.all{fill:var(--soft)}.box.dep{fill:var(--dep)}.box.own{fill:var(--own)}
.box.hit{stroke:var(--leak);stroke-width:1.5}
`
