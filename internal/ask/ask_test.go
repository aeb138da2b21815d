package ask

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDo(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			http.Error(w, `{"error":"not today"}`, http.StatusConflict)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	defer srv.Close()
	c := Client{Base: srv.URL + "/", HTTP: srv.Client()}
	var got struct{ N int }
	require.NoError(t, c.Do(t.Context(), http.MethodPost, "echo", map[string]int{"n": 7}, &got))
	require.Equal(t, 7, got.N)
	var whole bytes.Buffer
	require.NoError(t, c.Do(t.Context(), http.MethodPost, "echo", json.RawMessage("a: b"), &whole))
	require.Equal(t, "a: b", whole.String(), "sent and taken as it is")
	require.ErrorContains(t, c.Do(t.Context(), http.MethodGet, "refuse", nil, nil), "409 Conflict: not today")
	require.ErrorContains(t, c.Do(t.Context(), http.MethodPost, "echo", json.RawMessage("no JSON"), &got), "decode answer")
}
