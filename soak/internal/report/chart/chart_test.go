package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/internal/report/chart"
)

// elements are the drawing's elements by class, with their attributes.
func elements(t *testing.T, svg string) map[string][]map[string]string {
	t.Helper()
	out := map[string][]map[string]string{}
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err, svg)
		if e, ok := tok.(xml.StartElement); ok {
			attrs := map[string]string{}
			for _, a := range e.Attr {
				attrs[a.Name.Local] = a.Value
			}
			out[attrs["class"]] = append(out[attrs["class"]], attrs)
		}
	}
}

func TestDataStandsWhereTheAxesSayIt(t *testing.T) {
	c := chart.Chart{Label: "a <chart>", XTicks: chart.CountTicks(5), YTicks: chart.CountTicks(5),
		Lines: []chart.Line{{Ink: "rss", X: []float64{0, 10}, Y: []float64{0, 100}},
			{Ink: "heap", X: []float64{10}, Y: []float64{50}, NoLine: true}},
		Areas:  []chart.Area{{Ink: "interval", X: []float64{0, 10}, Lo: []float64{0, 20}, Hi: []float64{0, 100}}},
		Levels: []chart.Level{{Ink: "limit", Y: 50}}}
	all := elements(t, string(c.SVG(500, 200)))
	grid, line, dot := all["s grid"], all["s rss"][0]["d"], all["f heap"][0]
	require.Len(t, grid, 3, "0 to 100 in steps of 50")
	last := func(d string) string { return d[strings.LastIndex(d, " ")+1:] }
	hundred, _, _ := strings.Cut(last(grid[2]["d"]), "H")
	assert.Equal(t, hundred, last(line), "a line that ends at 100 ends on the grid's 100")
	labels := all["label"]
	assert.Equal(t, dot["cx"], labels[len(labels)-1]["x"], "a dot at 10 is above the label 10")
	limit, _, _ := strings.Cut(last(all["level limit"][0]["d"]), "H")
	assert.Equal(t, limit, dot["cy"], "a dot at 50 is on the limit of 50")
	assert.True(t, strings.HasSuffix(all["f interval"][0]["d"], "Z"), "an area is closed")
	assert.Equal(t, "a <chart>", all["chart"][0]["aria-label"])
}

func TestALimitAboveTheDataIsShown(t *testing.T) {
	c := chart.Chart{XTicks: chart.CountTicks(5), YTicks: chart.CountTicks(5),
		Lines: []chart.Line{{Ink: "rss", X: []float64{0, 1}, Y: []float64{1, 2}}}, Levels: []chart.Level{{Ink: "limit",
			Y: 1e6}}}
	d := elements(t, string(c.SVG(300, 100)))["level limit"][0]["d"]
	assert.NotContains(t, d, " -", "not above the drawing: %s", d)
	empty := chart.Chart{XTicks: c.XTicks, YTicks: c.YTicks}
	assert.NotContains(t, string(empty.SVG(300, 100)), "NaN", "a chart without data")
}

func TestThinKeepsThePeakAndTheEnd(t *testing.T) {
	var x, y []float64
	for i := range 1000 {
		x, y = append(x, float64(i)), append(y, float64(i%7))
	}
	y[431] = 99
	tx, ty := chart.Thin(x, y, 10)
	assert.Len(t, tx, 10)
	assert.Contains(t, ty, 99.0)
	assert.Equal(t, 999.0, tx[9])
}
