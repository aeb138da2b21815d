package brokertest

import (
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/queue/broker"
)

// Drain copies all files, until the end.
func Drain(t *testing.T, q broker.Queue) {
	t.Helper()
	for {
		l, err := q.Take(t.Context(), migrator.File)
		if err == io.EOF {
			return
		}
		require.NoError(t, err)
		require.NoError(t, q.Settle(t.Context(), l, migrator.Result{Outcome: migrator.Copied}))
	}
}

// networkCut: connections are cut over and over, in the middle of requests and replies; each item counts once.
func networkCut(t *testing.T, r *Rig) {
	u, err := url.Parse(r.URL)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	go cutting(ln, u.Host)
	u.Host = ln.Addr().String()
	q, err := r.Open(t.Context(), u.String(), Options(t))
	require.NoError(t, err)
	defer r.Die(q)
	Begin(t, q, "m")
	List(t, q, Files(100)...)
	Drain(t, q)
	totals, err := q.Totals(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 100, totals.Copied)
	assert.EqualValues(t, 100, totals.Files)
}

// cutting forwards connections and cuts each after some kilobytes of replies, more for each that comes: what a client
// needs for its first useful call differs.
func cutting(ln net.Listener, to string) {
	for n := int64(6000); ; n += 500 {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			up, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer up.Close()
			go func() { _, _ = io.Copy(up, c) }()
			_, _ = io.CopyN(c, up, n)
		}()
	}
}
