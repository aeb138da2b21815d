package blame

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestRecursionNamesTheCall has the innermost frame at the line that ends the recursion.
func TestRecursionNamesTheCall(t *testing.T) {
	at := func(fn string, line int) Frame { return Frame{Function: fn, File: "/src/app/walk.go", Line: line} }
	stack := []Frame{at("net/http.send", 3), at("app/walk.down", 12), at("app/walk.down", 15), at("app/walk.down", 15),
		at("app/walk.down", 15),
		at("app/copy.run", 9), at("app/copy.run", 9)}
	f, ok := NewBlamer("app").Recursion(stack)
	assert.True(t, ok)
	assert.Equal(t, at("app/walk.down", 15), f)
	_, ok = NewBlamer("app").Recursion(stack[:2])
	assert.False(t, ok, "nothing occurs twice")
}
