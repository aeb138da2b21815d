package report

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/report/chart"
)

// sparkline is what the peak is read from over time, small.
func sparkline(samples []record.Sample) template.HTML {
	var y []float64
	top := 1.0
	for _, s := range lived(samples) {
		if s.Process != nil {
			y = append(y, float64(s.Held()))
			top = max(top, float64(s.Held()))
		}
	}
	if len(y) < 2 {
		return ""
	}
	x := make([]float64, len(y))
	for i := range x {
		x[i] = 100 * float64(i) / float64(len(y)-1)
	}
	x, y = chart.Thin(x, y, 48)
	var b strings.Builder
	b.WriteString(`<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true"><path d="`)
	for i := range x {
		fmt.Fprintf(&b, "%c%.0f %.1f", "ML"[min(i, 1)], x[i], 23-22*y[i]/top)
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String())
}
