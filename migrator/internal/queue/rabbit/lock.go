package rabbit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/memsoak/memsoak/migrator/internal/pace"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/link"
)

// Lock implements migrator.Locker. The lock is a queue that is this connection's alone: it goes with it.
func (q *Queue) Lock(ctx context.Context, key string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(key))
	name := q.name("lock." + hex.EncodeToString(sum[:16]))
	for {
		if q.lockHere(name) {
			var s *session
			err = q.patiently(ctx, func(now *session) (err error) { s = now; return now.Lock(name) })
			if err == nil {
				return func() { s.Unlock(name); q.unlockHere(name) }, nil
			}
			q.unlockHere(name)
			if !errors.Is(err, link.ErrLocked) {
				return nil, err
			}
		}
		if err := pace.Sleep(ctx, 4*pauseMin); err != nil {
			return nil, err
		}
	}
}

// lockHere keeps a lock from others in this process, which share the connection.
func (q *Queue) lockHere(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, taken := q.locks[name]; taken {
		return false
	}
	q.locks[name] = struct{}{}
	return true
}

func (q *Queue) unlockHere(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.locks, name)
}
