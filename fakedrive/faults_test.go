package fakedrive_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/api/drive/v3"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// plan sets a fault plan.
func (f *fake) plan(text string) {
	f.t.Helper()
	_, err := f.Control().SetPlanText([]byte(text))
	require.NoError(f.t, err)
}

// media downloads a file and returns its bytes, the length that the header gave, and the error of reading it.
func (f *fake) media(id string) (body string, length int64, err error) {
	f.t.Helper()
	resp, err := http.Get(f.url + "/drive/v3/files/" + id + "?alt=media")
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return string(raw), resp.ContentLength, err
}

func TestFaultsAreGooglesErrors(t *testing.T) {
	f := newFake(t, "")
	x := f.create("x", "", "1")
	for text, want := range map[string]struct {
		code           int
		reason, domain string
	}{
		"{reason: userRateLimitExceeded}":                {403, "userRateLimitExceeded", "usageLimits"},
		"{reason: dailyLimitExceeded}":                   {403, "dailyLimitExceeded", "usageLimits"},
		"{reason: authError}":                            {401, "authError", "global"},
		"{status: 429}":                                  {429, "rateLimitExceeded", "usageLimits"},
		"{status: 503}":                                  {503, "backendError", "global"},
		"{reason: downloadQuotaExceeded}":                {403, "downloadQuotaExceeded", "global"},
		"{status: 500, body_size: 5MiB}":                 {500, "backendError", "global"},
		"{status: 429, retry_after: 7s, message: Slow.}": {429, "rateLimitExceeded", "usageLimits"},
	} {
		f.plan("rules: [{ops: [get], limit: 1, error: " + text + "}]")
		resp, body := f.do("GET", "/drive/v3/files/"+x.Id, nil)
		require.Equal(t, want.code, resp.StatusCode, text)
		require.Contains(t, body, `"reason": "`+want.reason+`"`, text)
		require.Contains(t, body, `"domain": "`+want.domain+`"`, text)
		if strings.Contains(text, "retry_after") {
			require.Equal(t, "7", resp.Header.Get("Retry-After"))
			require.Contains(t, body, `"message": "Slow."`)
		}
		if strings.Contains(text, "body_size") {
			require.Len(t, body, 5<<20)
		}
		resp, _ = f.do("GET", "/drive/v3/files/"+x.Id, nil)
		require.Equal(t, 200, resp.StatusCode, "the limit is reached")
	}
	_, err := f.Control().SetPlanText([]byte("rules: [{ops: [potato], error: {status: 500}}]"))
	require.ErrorContains(t, err, "unknown operation")
}

func TestFaultsInDownloads(t *testing.T) {
	f := newFake(t, "")
	content := strings.Repeat("0123456789", 10_000)
	x := f.create("x", "", content)
	cut := func(effect string) (string, int64, error) {
		f.plan("rules: [{ops: [download], limit: 1, " + effect + "}]")
		return f.media(x.Id)
	}
	body, length, err := cut("truncate: {offset: 50000}")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.EqualValues(t, len(content), length)
	require.Equal(t, content[:50000], body)
	body, length, err = cut("truncate: {offset: 50000, framing: chunked}")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.EqualValues(t, -1, length)
	require.Len(t, body, 50000)
	body, _, err = cut("truncate: {offset: 50000, framing: close}")
	require.NoError(t, err, "which is what makes it vicious")
	require.Len(t, body, 50000)
	body, _, err = cut("flip: {offset: 777}")
	require.NoError(t, err)
	require.NotEqual(t, content, body)
	require.Equal(t, content[:777]+content[778:], body[:777]+body[778:])
	_, _, err = cut("reset: {offset: 50000}")
	require.Error(t, err)
	_, _, err = cut("reset: {at: start}")
	require.Error(t, err)
	f.plan("")
	body, _, err = f.media(x.Id)
	require.NoError(t, err)
	require.Equal(t, content, body)
	// The client has the last byte before the server has counted it.
	require.Eventually(t, func() bool { return f.Control().Counters().InFlight == 0 }, 10*time.Second, time.Millisecond)
}

func TestAFileThatChanges(t *testing.T) {
	f := newFake(t, "tiny")
	files, _ := f.listAll("trashed=false", 100, "files(id,size,md5Checksum,headRevisionId)")
	var x *drive.File
	for _, y := range files {
		if y.Md5Checksum != "" && y.Size > 0 {
			x = y
		}
	}
	before, _, err := f.media(x.Id)
	require.NoError(t, err)
	f.plan("rules: [{ops: [download], limit: 1, change: true}]")
	changed, _, err := f.media(x.Id)
	require.NoError(t, err)
	require.Len(t, changed, len(before))
	require.NotEqual(t, before, changed)
	now := f.get(x.Id)
	require.NotEqual(t, x.Md5Checksum, now.Md5Checksum)
	require.NotEqual(t, x.HeadRevisionId, now.HeadRevisionId)
	again, _, err := f.media(x.Id)
	require.NoError(t, err)
	require.Equal(t, changed, again)
}

func TestFaultsInListings(t *testing.T) {
	f := newFake(t, "tiny")
	plain := f.names("")
	f.plan("rules: [{ops: [list], limit: 1, empty_page: true}]")
	l, err := f.sdk.Files.List().PageSize(1000).Do()
	require.NoError(t, err)
	require.Empty(t, l.Files)
	require.NotEmpty(t, l.NextPageToken)
	l, err = f.sdk.Files.List().PageSize(1000).PageToken(l.NextPageToken).Do()
	require.NoError(t, err)
	require.Len(t, l.Files, len(plain))
	f.plan("rules: [{ops: [list], limit: 1, duplicates: 2}]")
	require.Len(t, f.names(""), len(plain)+2)
	f.plan("quotas: [{ops: [list], per_minute: 1, error: {reason: userRateLimitExceeded}}]")
	require.Len(t, f.names(""), len(plain))
	_, err = f.sdk.Files.List().Do()
	_, why := reason(t, err)
	require.Equal(t, "userRateLimitExceeded", why)
}

func TestHolds(t *testing.T) {
	f := newFake(t, "tiny")
	ctx := context.Background()
	files, _ := f.listAll("trashed=false", 100, "files(id,size,md5Checksum)")
	var ids []string
	var bytes int64
	for _, x := range files {
		if x.Md5Checksum != "" && len(ids) < 2 && x.Size > 0 {
			ids = append(ids, x.Id)
			bytes += x.Size
		}
	}
	for _, point := range []fault.Point{fault.DownloadHeader, fault.DownloadBody} {
		h, err := f.admin.Hold(ctx, fault.Hold{Point: point})
		require.NoError(t, err)
		results := make(chan error, len(ids))
		for _, id := range ids {
			go func() {
				_, _, err := f.media(id)
				results <- err
			}()
		}
		h, err = f.admin.WaitArrived(ctx, h.ID, len(ids), 10*time.Second)
		require.NoError(t, err)
		require.Equal(t, len(ids), h.Waiting)
		require.Equal(t, bytes, h.BytesWaiting)
		c, err := f.admin.Counters(ctx)
		require.NoError(t, err)
		require.EqualValues(t, len(ids), c.InFlight)
		require.Equal(t, bytes, c.BytesInFlight)
		_, err = f.admin.Release(ctx, h.ID, 0)
		require.NoError(t, err)
		for range ids {
			require.NoError(t, <-results)
		}
	}
	h, err := f.admin.Hold(ctx, fault.Hold{Point: fault.ListPage, Limit: 1})
	require.NoError(t, err)
	listed := make(chan error, 1)
	go func() {
		_, err := f.sdk.Files.List().Do()
		listed <- err
	}()
	_, err = f.admin.WaitArrived(ctx, h.ID, 1, 10*time.Second)
	require.NoError(t, err)
	require.NoError(t, f.admin.ReleaseAll(ctx))
	require.NoError(t, <-listed)
	_, err = f.admin.Hold(ctx, fault.Hold{Point: fault.UploadReply})
	require.Error(t, err, "the Drive has no such point")
}

func TestTheBacklogIsWhatWasListedAndIsNotDone(t *testing.T) {
	f := newFake(t, "tiny")
	files, _ := f.listAll("trashed=false", 2, "files(id,md5Checksum,mimeType)")
	transferable := 0
	for _, x := range files {
		if x.Md5Checksum != "" || strings.Contains(".document.spreadsheet.presentation", strings.TrimPrefix(x.MimeType,
			"application/vnd.google-apps")) {
			transferable++
		}
	}
	require.EqualValues(t, transferable, f.Control().Counters().Backlog)
	for _, x := range files {
		if x.Md5Checksum != "" {
			_, _, err := f.media(x.Id)
			require.NoError(t, err)
			_, _, err = f.media(x.Id)
			require.NoError(t, err)
			break
		}
	}
	c := f.Control().Counters()
	require.EqualValues(t, transferable-1, c.Backlog)
	require.EqualValues(t, 1, c.Distinct)
	require.EqualValues(t, 2, c.Finished)
}
