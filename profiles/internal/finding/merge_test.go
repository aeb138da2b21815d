package finding

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/blame"
	"github.com/memsoak/memsoak/profiles/internal/fit"
	"github.com/memsoak/memsoak/profiles/record"
)

// TestAbsorbedLineWithMostBytes has connections dialled in one line and their buffers made in another of the function.
func TestAbsorbedLineWithMostBytes(t *testing.T) {
	finding := func(c record.Class, line int, amount float64) *Judged {
		j := &Judged{Owner: blame.OwnerUser,
			Term: fit.Term{Unit: fit.Unit{Name: "file", Class: c}, Slope: amount / 1000, SE: 1,
				Amount: amount, RetainedTerm: true}}
		j.Class, j.Site = c, record.Site{Function: "app/probe.dial", File: "probe/probe.go", Line: line}
		j.Slope = &record.Slope{Bytes: j.Term.Slope, Per: "file"}
		return j
	}
	out := AbsorbParts([]*Judged{finding(record.ConnectionLeak, 10, 3000), finding(record.Leak, 15, 8000),
		finding(record.Leak,
			12, 100)})
	require.Len(t, out, 1)
	assert.Equal(t, 15, out[0].Site.Line)
	assert.InDelta(t, 11.1, out[0].Slope.Bytes, 1e-9)
	assert.Len(t, out[0].Evidence, 2)
}

// TestALeakKeepsWhatTheNetworkPackagesMadeForIt has headers that no frame of the user's allocated, kept by each
// request.
func TestALeakKeepsWhatTheNetworkPackagesMadeForIt(t *testing.T) {
	finding := func(function string, owner blame.Owner, per string, slope float64) *Judged {
		j := &Judged{Owner: owner, Term: fit.Term{Unit: fit.Unit{Name: per, Class: record.Leak}, Slope: slope, SE: 1,
			Amount: 1000 * slope, RetainedTerm: true}}
		j.Class, j.Site = record.Leak, record.Site{Function: function, File: "a.go", Line: 1}
		j.Slope = &record.Slope{Bytes: slope, Per: per}
		return j
	}
	out := Adopt([]*Judged{finding("app.note", blame.OwnerUser, "file", 40),
		finding("net/http.readRequest", blame.OwnerConnection,
			"file", 69),
		finding("app.record", blame.OwnerUser, "file", 2112),
		finding("net/textproto.read", blame.OwnerConnection, "second", 50)})
	require.Len(t, out, 3, "another unit is another cause")
	assert.Equal(t, "app.record", out[1].Site.Function)
	assert.InDelta(t, 2181, out[1].Slope.Bytes, 1e-9)
}
