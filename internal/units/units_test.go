package units_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/internal/units"
)

func TestCountHasItsPlural(t *testing.T) {
	assert.Equal(t, "1 cell", units.Count(1, "cell"))
	assert.Equal(t, "0 cells", units.Count(0, "cell"))
	assert.Equal(t, "1,200 trials", units.Count(1200, "trial"))
}
