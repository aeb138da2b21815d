package classes

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/internal/fit"
)

// TestASliceIsNoFullCacheUntilTwiceTheItemsCame has a slice that append made larger at each floor, in ever larger
// steps, and that happens to be level at the last three.
func TestASliceIsNoFullCacheUntilTwiceTheItemsCame(t *testing.T) {
	idx := []int{0, 1, 2, 3, 4, 5, 6}
	q := &fit.Quantity{Values: []float64{28e3, 41e3, 57e3, 98e3, 172e3, 172e3, 172e3}, Variance: make([]float64, 7)}
	items := fit.Unit{Values: []float64{500, 700, 1100, 2100, 3100, 3200, 3300}}
	for objects, want := range map[float64]bool{1: true, 2: true, 40: false} {
		q.Objects = []float64{1, 1, 1, 1, objects, objects, objects}
		assert.Equal(t, want, mayGrow(q, items, idx, 3150), "%v objects", objects)
	}
	q.Objects = []float64{1, 1, 1, 1, 1, 1, 1}
	items.Values[6] = 7000
	assert.False(t, mayGrow(q, items, idx, 3150), "an array that is full and stays is bounded")
}
