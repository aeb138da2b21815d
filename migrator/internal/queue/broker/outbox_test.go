package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sent records what an outbox sends.
type sent struct {
	mu   sync.Mutex
	all  [][]int
	fail error
}

func (s *sent) send(_ context.Context, what []int) error {
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
		o := NewOutbox(s.send)
		go o.Run(t.Context())
		add := func(n int) (errs []error) {
			for i := range n {
				if err := o.Add(t.Context(), i); err != nil {
					errs = append(errs, err)
				}
			}
			return errs
		}
		assert.Empty(t, add(EndsBatch+3))
		synctest.Wait()
		assert.Equal(t, []int{EndsBatch}, s.sizes(), "a whole batch goes without waiting")
		time.Sleep(linger)
		synctest.Wait()
		assert.Equal(t, []int{EndsBatch, 3}, s.sizes(), "a few go a moment later")
		assert.Empty(t, add(1))
		require.NoError(t, o.Flush(t.Context()))
		assert.Equal(t, []int{EndsBatch, 3, 1}, s.sizes(), "or when they are asked for")

		broken := errors.New("broken")
		s.failing(broken)
		assert.Empty(t, add(2), "nothing is known of it yet")
		time.Sleep(linger)
		synctest.Wait()
		assert.Equal(t, []error{broken}, add(1), "the next after a failure learns of it")
		s.failing(nil)
		time.Sleep(afterError)
		synctest.Wait()
		assert.Equal(t, []int{EndsBatch, 3, 1, 3}, s.sizes(), "nothing was lost")

		assert.Empty(t, add(1))
		require.NoError(t, o.Close(t.Context()))
		assert.Equal(t, []int{EndsBatch, 3, 1, 3, 1}, s.sizes())
		assert.ErrorIs(t, o.Add(t.Context(), 0), ErrClosed)
	})
}
