package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/memsoak/memsoak/profiles/record"
)

// TestBisectTakesEveryClass ends at a revision that isn't there, which is looked up after the flags are read.
func TestBisectTakesEveryClass(t *testing.T) {
	for _, c := range append(record.Classes(), "leek") {
		code, _, stderr := soakCmd("bisect", "no-such-revision", "HEAD", "--class", string(c))
		assert.Equal(t, 2, code, c)
		if c == "leek" {
			assert.Contains(t, stderr, `there is no class "leek"`)
			continue
		}
		assert.Contains(t, stderr, "no-such-revision", c)
	}
}
