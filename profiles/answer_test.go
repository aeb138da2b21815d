package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestOneTrialIsNoPlural(t *testing.T) {
	assert.Equal(t, "1 of 3 trials is", trialsAre(1, 3))
	assert.Equal(t, "2 of 3 trials are", trialsAre(2, 3))
}
