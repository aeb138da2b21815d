package leaks

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

func TestAPlantKeepsWhatItsNameSays(t *testing.T) {
	p := &plant{bytes: 51.2}
	for i := range 1500 {
		p.keep(p.fresh(strconv.Itoa(i%1000)), false)
	}
	kept := 0
	for c := p.cells; c != nil; c = c.next {
		kept += cellSize
	}
	assert.InEpsilon(t, 51.2*1000, kept, 0.01, "each different file counts once")
	for range 100 {
		p.keep(1, true)
	}
	assert.InDelta(t, 5120, len(p.doubles), cellSize)
}

func TestAPlantMayKeepLessThanAByteOfEach(t *testing.T) {
	kind, bytes, ok := parsePlant("plant-byte-560")
	require.True(t, ok)
	assert.Equal(t, "byte", kind)
	assert.InEpsilon(t, 560e-6, bytes, 1e-9)
}

func TestPlantsAreMadeByName(t *testing.T) {
	for _, name := range []string{"plant-doubling-5120", "plant-byte-0", "plant-distinct-1", "plant-second-163840000"} {
		sp, ok := Plant(name)
		require.True(t, ok, name)
		assert.Equal(t, name, sp.Name)
		h := sp.Hooks(nil)
		if h.Done != nil {
			h.Done(context.Background(), nil, copier.File{ID: "a", Size: 1})
		} else {
			assert.NotNil(t, h.Start)
		}
	}
	for _, name := range []string{"leak-map", "plant-byte", "plant-page-1", "plant-byte-x"} {
		_, ok := Plant(name)
		assert.False(t, ok, name)
	}
}
