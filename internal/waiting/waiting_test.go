package waiting

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// written holds the lines written since they were last taken: a clock orders no memory, so a lock does.
type written struct {
	mu sync.Mutex
	b  strings.Builder
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.b.Reset()
	return w.b.String()
}

// TestSay, by the clock of its bubble: nothing before ten seconds, one clean line then, another a minute later, none
// after the end.
func TestSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out written
		stop := Say(&out, "for \x1b[31mA\nB")
		after := func(d time.Duration) string {
			time.Sleep(d)
			synctest.Wait()
			return out.take()
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
