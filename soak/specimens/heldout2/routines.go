package heldout2

import (
	"context"
	"sync"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

// approval waits for the word that a stored file may be deleted at its source.
type approval struct {
	file  copier.File
	reply chan bool
	draft [3000]byte
	given bool
}

// newApprovals asks for an approval per file; no part of the program answers.
func newApprovals(*copier.Engine) copier.Hooks {
	return onDone(func(f copier.File) {
		a := newApproval(f)
		go a.wait()
	})
}

func newApproval(f copier.File) *approval { return &approval{file: f, reply: make(chan bool)} }

func (a *approval) wait() {
	a.given = <-a.reply // fault:routine-approval
	clear(a.draft[:])
}

// newAnsweredApprovals answers each approval.
func newAnsweredApprovals(*copier.Engine) copier.Hooks {
	return onDone(func(f copier.File) {
		a := newApproval(f)
		var ended sync.WaitGroup
		ended.Go(a.wait)
		a.reply <- true
		ended.Wait()
	})
}

// watchdog looks after one transfer: it is fed at the transfer's end, and stopped where the transfer has failed.
type watchdog struct {
	fed, stop chan struct{}
	meals     int
}

func newWatchdogs(*copier.Engine) copier.Hooks {
	return copier.Hooks{
		Around: func(ctx context.Context, _ *copier.Worker, _ copier.File, next func() error) error {
			w := &watchdog{fed: make(chan struct{}), stop: make(chan struct{})}
			go w.watch()
			err := next()
			if err != nil {
				close(w.stop)
				return err
			}
			w.fed <- struct{}{}
			return nil
		},
	}
}

func (w *watchdog) watch() {
	for {
		select { // fault:routine-watchdog
		case <-w.fed:
			w.meals++
		case <-w.stop:
			return
		}
	}
}
