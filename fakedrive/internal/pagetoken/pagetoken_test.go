package pagetoken

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type place struct {
	Seg  int
	Next uint64
}

func TestTokens(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c := New([]byte("secret"), time.Hour, func() time.Time { return now })
	token, err := c.Seal("q", place{1, 42})
	require.NoError(t, err)
	var p place
	require.NoError(t, c.Open(token, "q", &p))
	require.Equal(t, place{1, 42}, p)
	require.ErrorIs(t, c.Open(token, "other", &p), ErrForeign)
	other := New([]byte("another"), time.Hour, func() time.Time { return now })
	require.ErrorIs(t, other.Open(token, "q", &p), ErrMalformed)
	now = now.Add(time.Hour + time.Second)
	require.ErrorIs(t, c.Open(token, "q", &p), ErrExpired)
	for _, bad := range []string{"", "x", "~!!~", "~!!~AAAA", token + "A", strings.ToUpper(token), token[:len(token)-2],
		strings.Repeat("~!!~A", 10_000)} {
		require.Error(t, c.Open(bad, "q", &p), "%.40s", bad)
	}
}

func FuzzOpen(f *testing.F) {
	// The clock stands still: every process of a fuzzing run must know the same good token.
	c := New([]byte("secret"), time.Hour, func() time.Time { return time.Unix(1_700_000_000, 0) })
	good, err := c.Seal("q", place{3, 4})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:20])
	f.Add("~!!~")
	f.Add(good + "\n")
	f.Add(good[:30] + "\r\n" + good[30:])
	f.Fuzz(func(t *testing.T, token string) {
		var p place
		if err := c.Open(token, "q", &p); err == nil && token != good {
			t.Fatalf("a forged token was taken: %q", token)
		}
	})
}
