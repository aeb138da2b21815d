package transport

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/memsoak/memsoak/migrator/internal/httpx"
	"github.com/memsoak/memsoak/profiles/memtest"
)

// A service that answers with long error pages must cost neither memory nor connections: SDKs read such a page whole.
func TestLongErrorRepliesRetainNothing(t *testing.T) {
	page := make([]byte, 8<<20)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(page) // the client hangs up
	}))
	defer srv.Close()
	tr, err := httpx.New(httpx.Options{MaxIdleConns: 4, MaxIdleConnsPerHost: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: httpx.CapErrors(tr)}
	memtest.Check(t, func() {
		resp, err := client.Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || len(body) != 64<<10 {
			t.Errorf("64 KiB of the page, got %d: %v", len(body), err)
		}
	}, memtest.Waves(6, 10), memtest.MaxBytesPerOp(64), memtest.Peak(4<<20))
}
