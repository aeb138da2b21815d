package rabbit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/memsoak/memsoak/migrator/internal/pace"
)

// Lock implements migrator.Locker. The lock is a queue that is this connection's alone: it goes with it.
func (q *Queue) Lock(ctx context.Context, key string) (unlock func(), err error) {
	sum := sha256.Sum256([]byte(key))
	name := q.name("lock." + hex.EncodeToString(sum[:16]))
	for {
		if q.lockHere(name) {
			var s *session
			err = q.patiently(ctx, func(now *session) (err error) { s = now; return now.lock(name) })
			if err == nil {
				return func() { s.unlock(name); q.unlockHere(name) }, nil
			}
			q.unlockHere(name)
			if !errors.Is(err, errLocked) {
				return nil, err
			}
		}
		if err := pace.Sleep(ctx, 4*pauseMin); err != nil {
			return nil, err
		}
	}
}

var errLocked = errors.New("locked")

// lock makes the queue that is a lock.
func (s *session) lock(name string) error {
	defer s.limit()()
	ch, err := s.conn.Channel() // a refusal closes it
	if err != nil {
		return s.or(err)
	}
	_, err = ch.QueueDeclare(name, false, false, true, false, nil)
	var e *amqp.Error
	if errors.As(err, &e) && e.Code == amqp.ResourceLocked {
		return errLocked
	}
	if err != nil {
		return s.or(err)
	}
	return ch.Close()
}

// unlock removes it; where the connection is gone, the lock is, too.
func (s *session) unlock(name string) {
	defer s.limit()()
	ch, err := s.conn.Channel()
	if err != nil {
		return
	}
	_, _ = ch.QueueDelete(name, false, false, false)
	_ = ch.Close()
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
