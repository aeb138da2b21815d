package capture_test

import (
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/capture"
)

// What the pprof handler allocates goes; work that runs under labels, and the server below both, stays.
func TestReadingsAreDroppedAndLabelledWorkIsNot(t *testing.T) {
	p := stacks(
		[]string{"runtime/pprof.writeHeapInternal", "net/http/pprof.handler.ServeHTTP", "net/http.(*conn).serve"},
		[]string{"compress/flate.NewWriter", "runtime/pprof.newProfileBuilder", "net/http.(*conn).serve"},
		[]string{"runtime/trace.Start", "main.main"},
		[]string{"app.keep", "runtime/pprof.Do", "main.main"},
		[]string{"app.keep", "runtime/trace.WithRegion", "main.main"},
		[]string{"bufio.NewReaderSize", "net/http.(*conn).serve"},
		[]string{"example.com/runtime/pprof.keep", "main.main"},
		nil,
	)
	assert.Equal(t, []int64{3, 300}, capture.DropReadings(p))
	require.NoError(t, p.CheckValid())
	require.Len(t, p.Sample, 5)
	assert.Equal(t, "runtime/pprof.Do", p.Sample[0].Location[1].Line[0].Function.Name)
}

// stacks is a heap profile of 1 object and 100 bytes for each stack, leaf first.
func stacks(all ...[]string) *profile.Profile {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "alloc_objects", Unit: "count"},
		{Type: "alloc_space", Unit: "bytes"}}}
	for _, names := range all {
		s := &profile.Sample{Value: []int64{1, 100}}
		for _, n := range names {
			f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: n}
			l := &profile.Location{ID: uint64(len(p.Location) + 1), Line: []profile.Line{{Function: f}}}
			p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			s.Location = append(s.Location, l)
		}
		p.Sample = append(p.Sample, s)
	}
	return p
}
