package finding

import (
	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/record"
)

// Judged is a finding on its way, with what the rules after the first still need.
type Judged struct {
	record.Finding
	Term  fit.Term // what it grows with
	Owner blame.Owner
	Sites []int // of heap findings
	// Members are further sites that the finding explains: other lines of the function, what absorbed findings hold.
	Members []int
	// Parts are bytes per unit by kind of memory, of all that comes with the unit; CostSE is the error of their sum.
	Parts  map[string]float64
	CostSE float64
	// Container says that it grows by doubling.
	Container bool
	Routines  bool          // goroutines that are counted
	most      float64       // bytes of the line that stands for its function, once others were absorbed
	Frames    []blame.Frame // of the site, leaf first
	Key       string        // what merges: class, unit, function
	// Passive says that no state decided: a guess from a curve.
	Passive bool
}
