package rabbit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker/brokertest"
	"github.com/memsoak/memsoak/migrator/internal/queue/rabbit/internal/ledger"
)

// TestNeighbours: files of one message are files by themselves. When the process that has some of them dies, another
// one gets all of the message, but none that was settled; one given back comes without its neighbours.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	o := brokertest.Options(t)
	a := open(t, o)
	brokertest.Begin(t, a, "m")
	brokertest.List(t, a, brokertest.Files(ledger.BundleFiles+1)...)
	first := brokertest.Take(t, a, migrator.File)
	require.NoError(t, a.Settle(t.Context(), first, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	back := brokertest.Take(t, a, migrator.File)
	require.NoError(t, a.Settle(t.Context(), back, migrator.Result{}))
	require.NoError(t, a.ends.Flush(t.Context()))
	die(a)

	b := open(t, o)
	seen := map[string]int{first.Item.ID: 1}
	for len(seen) < ledger.BundleFiles+1 {
		l := brokertest.Take(t, b, migrator.File)
		seen[l.Item.ID]++
		require.NoError(t, b.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied, Bytes: 3}))
	}
	for id, n := range seen {
		assert.Equal(t, 1, n, id)
	}
	st, err := b.Status(t.Context())
	require.NoError(t, err)
	assert.True(t, st.Done())
	assert.EqualValues(t, ledger.BundleFiles+1, st.Totals.Copied)
	assert.EqualValues(t, 3*(ledger.BundleFiles+1), st.Totals.Bytes)
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Zero(c, ready(t, b, ledger.QueueFiles)) }, time.Minute,
		20*time.Millisecond)
}
