package brokertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// beginRaced: of several processes that begin at the same time one decides, and there is one root.
func beginRaced(t *testing.T, r *Rig) {
	for round := range 3 {
		o := Options(t)
		o.Name += fmt.Sprint("-", round)
		o.Lease = time.Minute // or a slow machine's process counts as dead
		var qs []Queue
		for range 4 {
			qs = append(qs, r.open(t, o))
		}
		ids := make([]string, len(qs))
		var g errgroup.Group
		for i, q := range qs {
			g.Go(func() error {
				m, err := q.Begin(t.Context(), broker.Migration{ID: fmt.Sprint("m", i)}, Root, false)
				ids[i] = m.ID
				return err
			})
		}
		require.NoError(t, g.Wait())
		for _, id := range ids {
			assert.Equal(t, ids[0], id)
		}
		st, err := qs[0].Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, ids[0], st.Migration.ID)
		assert.EqualValues(t, 1, st.Folders)
		assert.EqualValues(t, 1, st.Totals.Folders)
		List(t, qs[3])
		_, err = qs[1].Take(t.Context(), migrator.Folder)
		assert.ErrorIs(t, err, io.EOF)
	}
}

// statusRaced: a reader, while a migration is begun, worked on, finished and forgotten, sees none or the whole, and
// an end only at the end.
func statusRaced(t *testing.T, r *Rig) {
	const rounds, files = 2, 3
	works, looks := r.open(t, Options(t)), r.open(t, Options(t))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var g errgroup.Group
	g.Go(func() error {
		for ctx.Err() == nil {
			st, err := looks.Status(ctx)
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, broker.ErrNone):
			case errors.Is(err, broker.ErrLost): // it was removed since the last look, and wasn't done then
			case err != nil:
				return err
			case st.Migration.ID != "m":
				return fmt.Errorf("a migration of the name %q", st.Migration.ID)
			case st.Done() && (st.Totals.Copied != files || st.Totals.Listed != 1):
				return fmt.Errorf("done with %+v", st.Totals)
			}
		}
		return nil
	})
	for range rounds {
		Begin(t, works, "m")
		List(t, works, Files(files)...)
		Drain(t, works)
		require.NoError(t, works.Forget(t.Context(), false))
	}
	cancel()
	require.NoError(t, g.Wait())
}

// restartRaced: a migration is begun again while others take and settle old items. Only items of the new one
// counts.
func restartRaced(t *testing.T, r *Rig) {
	o := Options(t)
	begins, takes := r.open(t, o), []Queue{r.open(t, o), r.open(t, o)}
	Begin(t, begins, "old")
	List(t, begins, append(Files(300), Folder("never listed", 2))...)
	Take(t, begins, migrator.Folder) // so that the old one doesn't end
	var g errgroup.Group
	first := make(chan struct{}, 1)
	for _, q := range takes {
		g.Go(func() error {
			for {
				l, err := q.Take(t.Context(), migrator.File)
				if err == io.EOF {
					return nil
				}
				if err == nil {
					err = q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3})
				}
				if err != nil {
					return err
				}
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	select {
	case <-first:
	case <-time.After(time.Minute):
		t.Fatal("nobody takes anything")
	}
	_, err := begins.Begin(t.Context(), broker.Migration{ID: "new"}, Root, true)
	require.NoError(t, err)
	l := Take(t, begins, migrator.Folder)
	require.Equal(t, Root.ID, l.Item.ID)
	require.NoError(t, begins.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Listed, Produced: Files(20)}))
	require.NoError(t, g.Wait())
	st, err := begins.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	assert.Equal(t, migrator.Totals{Folders: 1, Files: 20, Size: 60, Listed: 1, Copied: 20, Bytes: 60}, st.Totals)
}

// closeRaced: processes that close while their signs of life are on the way keep nothing.
func closeRaced(t *testing.T, r *Rig) {
	o := Options(t)
	last := r.open(t, o)
	Begin(t, last, "m")
	List(t, last, Files(20)...)
	short := o
	short.Lease = 100 * time.Millisecond
	for range 10 {
		q, err := r.Open(t.Context(), r.URL, short)
		require.NoError(t, err)
		l := Take(t, q, migrator.File)
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{}))
		require.NoError(t, q.Close())
	}
	st, err := last.Status(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 20, st.Files)
	Drain(t, last)
	totals, err := last.Totals(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 20, totals.Copied)
}

// forgotten: a migration that isn't done stays, unless that is wanted; of one that is removed nothing is left.
func forgotten(t *testing.T, r *Rig) {
	q := r.open(t, Options(t))
	require.ErrorIs(t, q.Forget(t.Context(), false), broker.ErrNone)
	for _, unfinished := range []bool{false, true} {
		Begin(t, q, "m")
		parked := migrator.Parked{ID: "z", Path: "z", Outcome: migrator.Unavailable, Reason: "dangling"}
		require.NoError(t, q.Settle(t.Context(), Take(t, q, migrator.Folder), migrator.Result{Outcome: migrator.Listed,
			Produced: []migrator.Item{File("x")}, Parked: []migrator.Parked{parked}}))
		require.ErrorIs(t, q.Forget(t.Context(), false), broker.ErrUnfinished)
		if !unfinished {
			require.NoError(t, q.Settle(t.Context(), Take(t, q, migrator.File), migrator.Result{Outcome: migrator.Copied}))
			_, err := q.Take(t.Context(), migrator.File)
			require.ErrorIs(t, err, io.EOF)
		}
		require.NoError(t, q.Forget(t.Context(), unfinished))
		fresh := r.open(t, Options(t))
		_, err := fresh.Status(t.Context())
		require.ErrorIs(t, err, broker.ErrNone)
		if !unfinished {
			_, err = q.Take(t.Context(), migrator.File)
			assert.ErrorIs(t, err, io.EOF, "for another worker that hasn't seen the end")
		}
	}
}
