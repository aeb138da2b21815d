package record

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryClassHasItsRow compares the constants with the table, and the table with what the README lists.
func TestEveryClassHasItsRow(t *testing.T) {
	source, err := os.ReadFile("class.go")
	require.NoError(t, err)
	var constants []Class
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ +Class = "(.+?)"`).FindAllStringSubmatch(string(source), -1) {
		constants = append(constants, Class(m[1]))
	}
	assert.ElementsMatch(t, constants, Classes())
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	list := regexp.MustCompile(`(?s)The classes below the headline are (.+?)\.\n`).FindSubmatch(readme)
	require.NotNil(t, list)
	for i, c := range Classes() {
		assert.Equal(t, i, c.Rank())
		assert.NotEmpty(t, c.Headline(), c)
		assert.Contains(t, string(list[1]), "`"+string(c)+"`", "README.md")
	}
	assert.Equal(t, -1, Class("leek").Rank())
	assert.Empty(t, Class("leek").Headline())
	assert.False(t, Class("leek").Fault())
}
