package waiting

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestSay, by the clock of its bubble: nothing before ten seconds, one clean line then, another a minute later, none
// after the end.
func TestSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		stop := Say(&out, "for \x1b[31mA\nB")
		after := func(d time.Duration) string {
			time.Sleep(d)
			synctest.Wait()
			defer out.Reset()
			return out.String()
		}
		assert.Empty(t, after(After-1))
		said := after(1)
		assert.Regexp(t, `^waiting: for .*A; B\n$`, said)
		assert.NotContains(t, said, "\x1b")
		assert.Empty(t, after(Again-1))
		assert.Equal(t, said, after(1))
		stop()
		stop()
		assert.Empty(t, after(time.Hour))
	})
}
