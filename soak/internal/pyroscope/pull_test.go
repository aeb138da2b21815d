package pyroscope

import (
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/capture"
	"github.com/memsoak/memsoak/soak/internal/pyroscope/pyrotest"
)

func newPull(t *testing.T) (*pyrotest.Server, *Client, Query) {
	t.Helper()
	server := &pyrotest.Server{}
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	client, err := NewClient(srv.URL)
	require.NoError(t, err)
	return server, client,
		Query{Selector: `{service_name="cart"}`, From: start.Add(-time.Minute), Until: start.Add(time.Hour)}
}

func TestPulledProfilesAreThoseThatWereStored(t *testing.T) {
	server, client, q := newPull(t)
	first := start.Add(802 * time.Microsecond) // as real profiles, between two milliseconds
	server.Growing("cart", map[string]string{"pod": "cart-1"}, first, 15*time.Second, 8)
	paths, err := client.Pull(t.Context(), q, t.TempDir())
	require.NoError(t, err)
	require.Len(t, paths, 16)
	heaps, routines := 0, 0
	for _, p := range paths {
		c, err := capture.Read(p)
		require.NoError(t, err)
		if c.Kind == capture.Goroutine {
			routines++
			assert.Equal(t, int64(10*routines), c.Profile.Sample[0].Value[c.Count])
			continue
		}
		assert.WithinDuration(t, first.Add(time.Duration(heaps)*15*time.Second), c.Time(), time.Second)
		heaps++
		i := slices.IndexFunc(c.Profile.Sample, func(s *profile.Sample) bool {
			return s.Location[0].Line[0].Function.Name == "example.com/cart.(*Cart).Add"
		})
		require.GreaterOrEqual(t, i, 0)
		assert.Equal(t, int64(heaps)<<20, c.Value(c.Profile.Sample[i], c.InuseBytes))
		assert.Equal(t, int64(heaps)<<10, c.Value(c.Profile.Sample[i], c.InuseObjects))
		assert.True(t, c.Has(capture.NoAddresses), "it says what it is")
		assert.True(t, c.Has(capture.NoAlloc), "it says that restarts are not seen")
	}
	assert.Equal(t, 8, heaps)
	assert.Equal(t, 8, routines)
}

// A server adds up what fits, so two pods would be one process that is twice as large.
func TestPullOfSeveralProcessesIsRefusedByTheLabelThatTellsThemApart(t *testing.T) {
	server, client, q := newPull(t)
	for _, pod := range []string{"cart-1", "cart-2"} {
		server.Growing("cart", map[string]string{"pod": pod, "region": "eu"}, start, 15*time.Second, 3)
	}
	_, err := client.Pull(t.Context(), q, t.TempDir())
	require.ErrorIs(t, err, ErrQuery)
	assert.ErrorContains(t, err, `2 series fit {service_name="cart"}, which differ in pod (cart-1, cart-2)`)
	q.Selector = `{service_name="cart", pod="cart-2"}`
	paths, err := client.Pull(t.Context(), q, t.TempDir())
	require.NoError(t, err)
	assert.Len(t, paths, 6)
}

func TestPullOfDaysIsAskedInPartsAndSpread(t *testing.T) {
	server, client, q := newPull(t)
	q.From, q.Until = start.Add(-time.Hour), start.Add(72*time.Hour)
	server.Growing("cart", nil, start, time.Hour, 72)
	q.Type = liveBytes
	paths, err := client.Pull(t.Context(), q, t.TempDir())
	require.NoError(t, err)
	require.Len(t, paths, mostPulled)
	assert.Len(t, slices.Compact(paths), mostPulled, "none twice")
	last, err := capture.Read(paths[mostPulled-1])
	require.NoError(t, err)
	assert.WithinDuration(t, start.Add(71*time.Hour), last.Time(), time.Second)
}

func TestPullOfNothingNamesWhatTheServerHas(t *testing.T) {
	server, client, q := newPull(t)
	dir := t.TempDir()
	server.Growing("shop", nil, start, time.Minute, 2)
	_, err := client.Pull(t.Context(), q, dir)
	require.ErrorIs(t, err, ErrQuery)
	assert.ErrorContains(t, err, "it has services shop")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Empty(t, files)
}

func TestQueriesAreReadAsTheServerShowsThem(t *testing.T) {
	for in, want := range map[string]Query{
		"cart":                               {Selector: `{service_name="cart"}`},
		`{service_name="a", pod="b"}`:        {Selector: `{service_name="a", pod="b"}`},
		liveBytes + `{service_name="a/b.c"}`: {Type: liveBytes, Selector: `{service_name="a/b.c"}`},
	} {
		got, err := ParseQuery(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "{}", "a b", `cart{}`, `{service_name="a"`, "memory:inuse_space"} {
		_, err := ParseQuery(in)
		assert.ErrorIs(t, err, ErrQuery, in)
	}
}
