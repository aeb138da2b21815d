package drive

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
)

func source(t *testing.T, h http.HandlerFunc) *Source {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s, err := New(t.Context(), Options{Client: srv.Client(), Endpoint: srv.URL, PageSize: 10, AcknowledgeAbuse: true})
	require.NoError(t, err)
	return s
}

func refuse(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"error":{"code":%d,"message":"no","errors":[{"domain":"global","reason":"%s","message":"no"}]}}`,
		code, reason)
}

func TestAbuseIsAcknowledgedOnlyWhenAsked(t *testing.T) {
	var asked []string
	s := source(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("acknowledgeAbuse"))
		if asked[len(asked)-1] != "true" {
			refuse(w, 403, "cannotDownloadAbusiveFile")
			return
		}
		_, _ = io.WriteString(w, "bad stuff")
	})
	rc, err := s.Open(t.Context(), migrator.Content{ID: "x", Size: 9}, 0)
	require.NoError(t, err)
	b, err := io.ReadAll(rc)
	require.NoError(t, errorOf(rc.Close(), err))
	assert.Equal(t, "bad stuff", string(b))
	assert.Equal(t, []string{"", "true"}, asked)

	s.o.AcknowledgeAbuse = false
	_, err = s.Open(t.Context(), migrator.Content{ID: "x", Size: 9}, 0)
	assert.Equal(t, migrator.Refused, migrator.ClassOf(err))
}

func errorOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		code   int
		reason string
		want   migrator.Class
	}{
		{403, "rateLimitExceeded", migrator.RateLimited}, {403, "userRateLimitExceeded", migrator.RateLimited},
		{429, "x", migrator.RateLimited}, {403, "dailyLimitExceeded", migrator.DailyLimit}, {401, "authError",
			migrator.Fatal},
		{403, "insufficientPermissions", migrator.Fatal}, {404, "notFound", migrator.Missing}, {403, "downloadQuotaExceeded",
			migrator.Refused},
		{403, "exportSizeLimitExceeded", migrator.Refused}, {403, "insufficientFilePermissions", migrator.Refused},
		{500, "internalError", migrator.Transient}, {503, "backendError", migrator.Transient}, {416, "x", migrator.BadDigest},
	} {
		s := source(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, c.code, c.reason) })
		_, err := s.Stat(t.Context(), "x")
		assert.Equal(t, c.want, migrator.ClassOf(err), "%d %s", c.code, c.reason)
		assert.Equal(t, c.reason, migrator.ReasonOf(err))
	}
}

func TestRange(t *testing.T) {
	const content = "0123456789"
	reply := func(code int, header, body string) *Source {
		return source(t, func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Content-Range", header)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		})
	}
	for _, c := range []struct {
		name, header, body string
		code               int
		want               string
		class              migrator.Class
	}{
		{"as asked", "bytes 4-9/10", content[4:], 206, content[4:], 0},
		{"range ignored", "", content, 200, content[4:], 0},
		{"begins before", "bytes 2-9/10", content[2:], 206, content[4:], 0},
		{"begins behind", "bytes 5-9/10", content[5:], 206, "", migrator.Transient},
		{"another length", "bytes 4-10/11", content[4:] + "x", 206, "", migrator.BadDigest},
		{"no sense", "bytes", content[4:], 206, "", migrator.Transient},
	} {
		rc, err := reply(c.code, c.header, c.body).Open(t.Context(), migrator.Content{ID: "x", Size: 10}, 4)
		if c.want == "" {
			require.Error(t, err, c.name)
			assert.Equal(t, c.class, migrator.ClassOf(err), c.name)
			continue
		}
		require.NoError(t, err, c.name)
		b, err := io.ReadAll(rc)
		require.NoError(t, errorOf(rc.Close(), err), c.name)
		assert.Equal(t, c.want, string(b), c.name)
	}
}

// TestDownloadsAreRedirected: Drive may send a download to another host.
func TestDownloadsAreRedirected(t *testing.T) {
	s := source(t, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/elsewhere" {
			http.Redirect(w, req, "/elsewhere", http.StatusFound)
			return
		}
		assert.Equal(t, "bytes=4-", req.Header.Get("Range"))
		w.Header().Set("Content-Range", "bytes 4-9/10")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "456789")
	})
	rc, err := s.Open(t.Context(), migrator.Content{ID: "x", Size: 10}, 4)
	require.NoError(t, err)
	b, err := io.ReadAll(rc)
	require.NoError(t, errorOf(rc.Close(), err))
	assert.Equal(t, "456789", string(b))
}

func TestPageTokenForgotten(t *testing.T) {
	s := source(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, "invalid") })
	_, err := s.List(t.Context(), migrator.Listing{Folder: "f", Page: "old"})
	assert.Equal(t, migrator.PageGone, migrator.ClassOf(err))
	_, err = s.List(t.Context(), migrator.Listing{Folder: "f"})
	assert.Equal(t, migrator.Refused, migrator.ClassOf(err))
}

func TestQueryEscapes(t *testing.T) {
	assert.Equal(t, `'a\'b\\c' in parents and trashed = false`, query(migrator.Listing{Folder: `a'b\c`}))
	assert.True(t, strings.HasPrefix(query(migrator.Listing{Folder: migrator.SharedWithMe}), "sharedWithMe = true"))
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, 7*time.Second, retryAfter(http.Header{"Retry-After": {"7"}}, now))
	assert.Equal(t, time.Minute, retryAfter(http.Header{"Retry-After": {now.Add(time.Minute).Format(http.TimeFormat)}},
		now))
	assert.Zero(t, retryAfter(http.Header{}, now))
}
