package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// lines keeps the lines written.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// taken returns the lines about waits written since its last call.
func (l *lines) taken() (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.all.String()) {
		if strings.Contains(line, "waiting") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	l.all.Reset()
	return out
}

// TestWhatWaitsSaysWhy: ten seconds without a movement, and the reason is shown: the failed try, or what the command
// knows; the same reason again after a minute, another one sooner, none while something moves.
func TestWhatWaitsSaysWhy(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		t.Run(fmt.Sprint("json ", asJSON), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out lines
				s := &migrator.Stats{}
				p := newProgress(&out, asJSON, time.Hour, s, func() string { return "the queue\nis \x1b[31mempty" })
				defer p.Close()
				after := func(d time.Duration) []string { time.Sleep(d); synctest.Wait(); return out.taken() }
				assert.Empty(t, after(stillAfter-time.Millisecond))
				said := after(time.Millisecond)
				require.Len(t, said, 1)
				assert.Contains(t, said[0], "0 transfers are in flight: the queue")
				assert.NotContains(t, said[0], "\x1b")
				assert.Empty(t, after(stillAgain-stillAfter), "said already")
				assert.Len(t, after(stillAfter), 1, "said again")
				p.event(migrator.Event{Time: time.Now(), Type: "retry", Detail: "get x: 503", Wait: time.Minute})
				said = after(stillAfter)
				require.NotEmpty(t, said)
				assert.Contains(t, said[len(said)-1], "get x: 503: tried again after 1m0s")
				for range 10 {
					s.Bytes.Add(1)
					assert.NotContains(t, strings.Join(after(stillAfter), ""), "waiting:")
				}
			})
		})
	}
}

// lonely is a queue whose status is fixed.
type lonely struct {
	wire.Broker
	status wire.BrokerStatus
	err    error
}

func (l *lonely) Status(context.Context) (wire.BrokerStatus, error) { return l.status, l.err }

// TestNothingIsWaitedForInVain: without another process the wait for one ends, with the reason; with one, or where it
// is wanted, it doesn't.
func TestNothingIsWaitedForInVain(t *testing.T) {
	none := fmt.Errorf("queue q: %w", wire.ErrNoMigration)
	for name, c := range map[string]struct {
		queue  lonely
		others time.Duration
		ends   string
	}{
		"no migration": {lonely{err: none}, time.Minute,
			"within 1m0s (--others-within): queue q: no migration was begun here"},
		"no uploader": {lonely{status: wire.BrokerStatus{Files: 7, Workers: 1}}, time.Minute,
			"7 files and 0 pages of folders are left, 1 processes"},
		"an uploader":           {lonely{status: wire.BrokerStatus{Files: 7, Workers: 2}}, time.Minute, ""},
		"for ever":              {lonely{err: none}, 0, ""},
		"the broker has failed": {lonely{err: errors.New("gone")}, time.Minute, "gone"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				cmd := &cobra.Command{}
				cmd.SetContext(ctx)
				w := &working{part: &part{others: c.others}, c: cmd, queue: &c.queue}
				_, err := w.await((*wire.BrokerStatus).Done)
				if c.ends == "" {
					require.ErrorIs(t, err, migrator.ErrStopped, "it waited until it was stopped")
					return
				}
				require.ErrorContains(t, err, c.ends)
			})
		})
	}
}
