package units_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/units"
)

func TestCountHasItsPlural(t *testing.T) {
	assert.Equal(t, "1 cell", units.Count(1, "cell"))
	assert.Equal(t, "0 cells", units.Count(0, "cell"))
	assert.Equal(t, "1,200 trials", units.Count(int64(1200), "trial"))
	assert.Equal(t, "1 worker is", units.CountIs(1, "worker"))
	assert.Equal(t, "2 workers are", units.CountIs(2, "worker"))
}
