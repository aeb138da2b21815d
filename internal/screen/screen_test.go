package screen

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStylesTakeNoRoom(t *testing.T) {
	s := "a" + Bad.Render("bcd") + "é"
	assert.Equal(t, 5, Width(s))
	assert.Equal(t, "abcdé", Plain(s))
	assert.Equal(t, s, Cut(s, 5))
	assert.Equal(t, "abc…", Plain(Cut(s, 4)))
	assert.Equal(t, "a\x1b[1;31mbc…\x1b[0m", Cut(s, 4), "a style ends where the text is cut")
	assert.Equal(t, "…", Plain(Cut(s, 1)))
	assert.Empty(t, Cut(s, 0))
	assert.Empty(t, Good.Render(""))
}

func TestWideAndCombiningCharactersTakeTheirColumns(t *testing.T) {
	assert.Equal(t, 4, Width("報告"))
	assert.Equal(t, 2, Width("🚀"))
	assert.Equal(t, 4, Width("cafe\u0301"))
	assert.Equal(t, "報…", Cut("報告書", 4), "half a character cannot be drawn")
	assert.LessOrEqual(t, Width(Cut("報告書", 3)), 3)
	assert.Equal(t, "a…", Cut("a報告", 2))
}

func TestLongLinesBreakBetweenWords(t *testing.T) {
	assert.Equal(t, "one two\nthree", Wrap("one two three", 7))
	assert.Equal(t, Bold.Render("one two\nthree"), Wrap(Bold.Render("one two three"), 8), "styles take no room")
	assert.Equal(t, "at\n/a/path/that/is/long\nor", Wrap("at /a/path/that/is/long or", 9))
	assert.Equal(t, "report  /x", Wrap("report  /x", 10), "columns stay")
}

func TestABlockIsDrawnOverItself(t *testing.T) {
	const before, after = "\x1b[?25l\x1b[?7l", "\x1b[J\x1b[?7h\x1b[?25h"
	var out bytes.Buffer
	b := NewBlock(&out)
	b.Draw([]string{"one", "two"})
	assert.Equal(t, before+"\r\x1b[Kone\n\x1b[Ktwo\n"+after, out.String())
	out.Reset()
	b.Draw([]string{Bold.Render("three")})
	assert.Equal(t, before+"\x1b[2A\r\x1b[K\x1b[1mthree\x1b[0m\n"+after, out.String(),
		"up by two lines, one drawn, the rest cleared, without wrapping")
	t.Setenv("NO_COLOR", "1")
	out.Reset()
	b.Draw([]string{Bold.Render("four")})
	assert.Equal(t, before+"\x1b[1A\r\x1b[Kfour\n"+after, out.String())
	out.Reset()
	b.Clear()
	assert.Equal(t, "\x1b[1A\r\x1b[J", out.String())
	out.Reset()
	b.Draw(nil)
	assert.NotContains(t, out.String(), "A", "a block that was cleared is drawn where the cursor is")
}

func TestWithoutATerminalTextIsPlain(t *testing.T) {
	var out bytes.Buffer
	assert.False(t, IsTerminal(&out))
	assert.Equal(t, "x", Coloured(&out, Warn.Render("x")))
	w, h := Size(&out)
	assert.Equal(t, [2]int{80, 24}, [2]int{w, h})
}
