package report

import (
	"encoding/json"
	"html/template"
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// heatMap is the matrix as a table over two axes; the page's script rebuilds it over others.
type heatMap struct {
	Axes       []string
	X, Y       string
	Columns    []string
	Rows       []heatRow
	Tiles      template.JS // all cells, for the script
	Scale      int64       // the hottest value: the memory limit, or without one the highest peak
	Selectable bool        // there are axes to choose
}

type heatRow struct {
	Value string
	Tiles []*tile // nil where no cell was run
}

// tile is what the map shows of the cells at one place: that with the highest peak.
type tile struct {
	ID       string            `json:"id"`
	Title    string            `json:"title"`
	Axes     map[string]string `json:"axes"`
	Peak     int64             `json:"peak"`
	Text     string            `json:"text"`
	Exact    string            `json:"exact"`
	Headline string            `json:"headline"`
	Outcome  string            `json:"outcome"`
	Heat     float64           `json:"heat"` // 0 to 1 of heatMap.Scale
	Cells    int               `json:"-"`    // cells at this place
}

func newHeatMap(r *record.Run, views []*cellView) heatMap {
	h := heatMap{}
	values := map[string][]string{"": {""}} // no axis: one row
	for _, a := range r.Axes {
		h.Axes, values[a.Name] = append(h.Axes, a.Name), a.Values
	}
	if len(h.Axes) == 0 {
		h.Axes = []string{""}
	}
	h.X, h.Y = chooseAxes(h.Axes, values)
	h.Columns, h.Selectable = values[h.X], len(h.Axes) > 1
	if h.Scale = r.Limit; h.Scale == 0 {
		for _, v := range views {
			h.Scale = max(h.Scale, v.Peak.Bytes())
		}
	}
	tiles := make([]*tile, len(views))
	for i, v := range views {
		tiles[i] = &tile{ID: v.ID, Title: v.Title, Axes: v.Cell.Cell, Peak: v.Peak.Bytes(), Text: Bytes(v.Peak.Bytes()),
			Exact:    exact(v.Peak.Bytes()),
			Headline: v.Headline.String(), Outcome: string(v.Outcome)}
		if h.Scale > 0 {
			tiles[i].Heat = min(1, float64(v.Peak.Bytes())/float64(h.Scale))
		}
		if v.Trial == nil || v.Peak.Bytes() == 0 {
			tiles[i].Text = "not yet"
		}
	}
	for _, y := range values[h.Y] {
		row := heatRow{Value: y, Tiles: make([]*tile, len(h.Columns))}
		for i, x := range h.Columns {
			row.Tiles[i] = worstAt(tiles, h.X, x, h.Y, y)
		}
		h.Rows = append(h.Rows, row)
	}
	// Marshal escapes <, > and &, and tiles hold nothing that it cannot encode.
	b, err := json.Marshal(map[string]any{"axes": r.Axes, "tiles": tiles})
	if err == nil {
		h.Tiles = template.JS(b)
	}
	return h
}

// chooseAxes takes workers for the columns, since that is the axis people ask about, and the longest other for rows,
// or none when there is no other.
func chooseAxes(axes []string, values map[string][]string) (x, y string) {
	x = axes[0]
	if slices.Contains(axes, "workers") {
		x = "workers"
	}
	y = ""
	for _, a := range axes {
		if a != x && (y == "" || len(values[a]) > len(values[y])) {
			y = a
		}
	}
	return x, y
}

func worstAt(tiles []*tile, x, xv, y, yv string) *tile {
	var worst *tile
	n := 0
	for _, t := range tiles {
		if t.Axes[x] != xv || t.Axes[y] != yv {
			continue
		}
		n++
		if worst == nil || t.Peak > worst.Peak {
			worst = t
		}
	}
	if worst == nil {
		return nil
	}
	w := *worst
	w.Cells = n
	return &w
}
