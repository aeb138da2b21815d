package growth

import (
	"slices"

	"github.com/memsoak/memsoak/profiles/record"
)

// leastOutside is the least growth outside Go's heap that is found, in bytes: threads and tables take some.
const leastOutside = 4 << 20

// judgeMemory judges the parts of the memory that are in no heap profile, of the longest life: under load, as the heap.
func (s *Series) judgeMemory(g *record.Growth, lives [][]*Point) {
	for _, name := range []string{record.ResidentPart, record.StackPart, record.OutsidePart} {
		var read []*Point
		for i := range s.Points {
			p := &s.Points[i]
			if _, ok := p.Memory[name]; ok && (len(lives) <= 1 || slices.Contains(lives[0], p)) {
				read = append(read, p)
			}
		}
		if len(read) == 0 {
			continue
		}
		read = under(read)
		var q samples
		for _, p := range read {
			q.t, q.y = append(q.t, p.Time.Sub(read[0].Time).Seconds()), append(q.y, p.Memory[name])
		}
		c := judge(q, true)
		if c.State == record.Found && c.Grew() < leastOutside {
			c.State, c.Shape = record.Excluded, record.Steady
		}
		g.Memory = append(g.Memory, record.MemoryPart{Name: name, Curve: c})
	}
}
