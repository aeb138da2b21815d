package redis

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// sent records what an outbox sends.
type sent struct {
	mu   sync.Mutex
	all  [][]ended
	fail error
}

func (s *sent) send(_ context.Context, what []ended) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.all = append(s.all, what)
	return nil
}

func (s *sent) sizes() (n []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.all {
		n = append(n, len(w))
	}
	return n
}

func (s *sent) failing(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func TestOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sent
		o := newOutbox(s.send)
		go o.run(t.Context())
		add := func(n int) (errs []error) {
			for i := range n {
				if err := o.add(t.Context(), ended{bytes: int64(i)}); err != nil {
					errs = append(errs, err)
				}
			}
			return errs
		}
		assert.Empty(t, add(batch+3))
		synctest.Wait()
		assert.Equal(t, []int{batch}, s.sizes(), "a whole batch goes at once")
		time.Sleep(linger)
		synctest.Wait()
		assert.Equal(t, []int{batch, 3}, s.sizes(), "a few go a moment later")
		assert.Empty(t, add(1))
		require.NoError(t, o.flush(t.Context()))
		assert.Equal(t, []int{batch, 3, 1}, s.sizes(), "or when somebody wants to see them")

		broken := errors.New("broken")
		s.failing(broken)
		assert.Empty(t, add(2), "nothing is known of it yet")
		time.Sleep(linger)
		synctest.Wait()
		assert.Equal(t, []error{broken}, add(1), "whoever comes after a failure learns of it")
		s.failing(nil)
		time.Sleep(afterError)
		synctest.Wait()
		assert.Equal(t, []int{batch, 3, 1, 3}, s.sizes(), "nothing was lost")

		assert.Empty(t, add(1))
		require.NoError(t, o.close(t.Context()))
		assert.Equal(t, []int{batch, 3, 1, 3, 1}, s.sizes())
		assert.ErrorIs(t, o.add(t.Context(), ended{}), broker.ErrClosed)
	})
}
