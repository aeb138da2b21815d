package wire

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
)

// connStates counts connections that begin, and says which end.
func connStates(opened *int, closed chan<- struct{}) func(net.Conn, http.ConnState) {
	var mu sync.Mutex
	return func(_ net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			*opened++
		case http.StateClosed:
			closed <- struct{}{}
		}
	}
}

func TestBrokersAreNamedByTheirURLs(t *testing.T) {
	for _, raw := range []string{"", "redis", "localhost:6379", "http://host/0", "kafka://host:9092", "://",
		"redis\x7f://h", "postgres://user:secret@host/db"} {
		_, err := OpenBroker(t.Context(), raw, DefaultBrokerOptions())
		require.ErrorIs(t, err, ErrBrokerURL, raw)
		require.ErrorContains(t, err, "--queue", raw)
		require.NotContains(t, err.Error(), "secret", "a password is no part of a message")
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestABrokerThatIsNotThereIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	at := l.Addr().String()
	require.NoError(t, l.Close())
	for _, raw := range []string{"redis://:secret@" + at + "/0", "amqp://user:secret@" + at + "/"} {
		q, err := OpenBroker(t.Context(), raw, DefaultBrokerOptions())
		require.Error(t, err, raw)
		require.Nil(t, q, raw)
		require.NotErrorIs(t, err, ErrBrokerURL, raw)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestTheEmbeddedQueueKeepsWorkAndIsTakenOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "queue")
	q, resumed, err := OpenQueue(dir)
	require.NoError(t, err)
	require.False(t, resumed)
	require.NoError(t, q.Push(t.Context(), migrator.Item{Kind: migrator.Folder, ID: "root"}))
	want, err := q.Totals(t.Context())
	require.NoError(t, err)
	_, _, err = OpenQueue(dir)
	require.Error(t, err, "taken")
	got, inUse, err := PeekQueue(dir)
	require.NoError(t, err)
	require.True(t, inUse)
	require.Equal(t, want, got)
	require.NoError(t, q.Close())
	got, inUse, err = PeekQueue(dir)
	require.NoError(t, err)
	require.False(t, inUse)
	require.Equal(t, want, got)
	q, resumed, err = OpenQueue(dir)
	require.NoError(t, err)
	require.True(t, resumed)
	require.NoError(t, q.Close())
	_, _, err = PeekQueue(filepath.Join(dir, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
