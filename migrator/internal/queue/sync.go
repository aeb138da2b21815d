package queue

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// fail makes the queue refuse further work: after a failed write it can't know what the files hold.
func (q *Queue) fail(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("no space left for the queue: free some below %s and run again: %w", q.dir, err)
	} else {
		err = fmt.Errorf("write the queue in %s: %w", q.dir, err)
	}
	q.broken = err
	q.broadcast()
	return err
}

// syncer makes the queue durable against a power cut each second, until Close.
func (q *Queue) syncer() {
	defer close(q.done)
	t := time.NewTicker(syncEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			q.background()
		case <-q.stop:
			return
		}
	}
}

// background syncs the bytes written since the last time, without keeping others from the queue. Files that are closed
// meanwhile were synced by who closed them.
func (q *Queue) background() {
	q.mu.Lock()
	now := mark{q.gen, q.size}
	idle := now == q.synced
	q.synced = now
	files := []*os.File{q.lanes[0].w, q.lanes[1].w, q.parked, q.journal}
	q.mu.Unlock()
	if idle {
		return
	}
	for _, f := range files {
		if f == nil {
			continue
		}
		if err := syncAndDrop(f); err != nil && !errors.Is(err, os.ErrClosed) {
			q.mu.Lock()
			_ = q.fail(err)
			q.mu.Unlock()
		}
	}
}

func (q *Queue) syncAll() error {
	for _, f := range []*os.File{q.lanes[0].w, q.lanes[1].w, q.parked, q.journal} {
		if f != nil {
			if err := f.Sync(); err != nil {
				return q.fail(err)
			}
		}
	}
	return nil
}

// Close makes everything durable and lets the queue go. Leased items come again.
func (q *Queue) Close() error {
	close(q.stop)
	<-q.done
	q.mu.Lock()
	defer q.mu.Unlock()
	var err error
	if q.broken == nil {
		err = q.snapshot()
	}
	return errors.Join(err, q.closeFiles())
}

func (q *Queue) closeFiles() error {
	errs := []error{q.lanes[0].close(), q.lanes[1].close()}
	for _, f := range []*os.File{q.parked, q.journal, q.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
