package control_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/fakedrive/fault/control"
)

func rawJSON(s string) json.RawMessage { return json.RawMessage(s) }

// eachTransport runs f over plain HTTP/1.1 and over TLS with HTTP/2.
func eachTransport(t *testing.T, f func(t *testing.T, f *fake)) {
	t.Run("http1", func(t *testing.T) { f(t, newFake(t, false)) })
	t.Run("http2", func(t *testing.T) { f(t, newFake(t, true)) })
}

func TestErrorReply(t *testing.T) {
	eachTransport(t, func(t *testing.T, f *fake) {
		f.plan(t, `
rules:
  - ops: [get]
    attempts: 2
    error: {reason: slowDown, message: not now, retry_after: 1500ms, body_size: 1MiB}
`)
		for range 2 {
			resp, b, err := f.get(t, "/a")
			require.NoError(t, err)
			require.Equal(t, 503, resp.StatusCode)
			require.Equal(t, "2", resp.Header.Get("Retry-After"), "rounded up to whole seconds")
			require.Len(t, b, 1<<20)
			require.Equal(t, "slowDown: not now", strings.TrimSpace(string(b)))
		}
		resp, b, err := f.get(t, "/a")
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode, "the third attempt passes")
		require.Equal(t, file(), b)
		require.Equal(t, int64(2), f.counters(t).FaultsFired)
		require.Equal(t, int64(2), f.counters(t).FaultsHarmful)
	})
}

func TestResetCutsAtItsPlace(t *testing.T) {
	f := newFake(t, false)
	f.http.Transport.(*http.Transport).DisableKeepAlives = true // else the transport retries on a fresh connection
	for plan, want := range map[string]int{
		`rules: [{ops: [get], reset: {}}]`:                         -1, // no header
		`rules: [{ops: [get], reset: {at: body}}]`:                 0,
		`rules: [{ops: [get], reset: {after: 70000}}]`:             70000,
		`rules: [{ops: [get], reset: {offset: 70000}}]`:            70000,
		`rules: [{ops: [get], files: "a*", reset: {after: 1KiB}}]`: 1024,
	} {
		f.plan(t, plan)
		resp, b, err := f.get(t, "/a1")
		require.Error(t, err, plan)
		require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF), "%s: %v", plan, err)
		if want < 0 {
			require.Nil(t, resp, plan)
			continue
		}
		require.NotNil(t, resp, plan)
		require.LessOrEqual(t, len(b), want, "a reset may drop what is under way, it can't send more")
		require.Equal(t, file()[:len(b)], b)
	}
}

func TestResetOverTLSKillsTheConnection(t *testing.T) {
	f := newFake(t, true)
	f.plan(t, `rules: [{ops: [get], attempts: 1, reset: {after: 5000}}]`)
	_, _, err := f.get(t, "/a")
	require.Error(t, err)
	_, b, err := f.get(t, "/a")
	require.NoError(t, err)
	require.Equal(t, file(), b)
	require.Equal(t, int64(2), f.counters(t).ConnsTotal, "the second attempt needed a new connection")
}

func TestOffsetIsOfTheFileAndAfterOfTheTransfer(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, `rules: [{ops: [get], truncate: {offset: 50000}}]`)
	_, b, err := f.get(t, "/a?from=20000")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, file()[20000:50000], b)
	_, b, err = f.get(t, "/a?from=60000")
	require.NoError(t, err, "the range doesn't have the byte")
	require.Equal(t, file()[60000:], b)
	f.plan(t, `rules: [{ops: [get], truncate: {after: 30000}}]`)
	_, b, err = f.get(t, "/a?from=60000")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, file()[60000:90000], b)
}

func TestTruncationByFraming(t *testing.T) {
	f := newFake(t, false)
	for framing, silent := range map[string]bool{"content-length": false, "chunked": false, "close": true} {
		f.plan(t, `rules: [{ops: [get], attempts: 1, truncate: {offset: 66000, framing: `+framing+`}}]`)
		resp, b, err := f.get(t, "/a")
		require.Equal(t, file()[:66000], b, framing)
		if silent {
			require.NoError(t, err, "a body that the connection's end delimits is silently short")
			require.Equal(t, int64(-1), resp.ContentLength)
			require.True(t, resp.Close)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, framing)
		}
		_, b, err = f.get(t, "/a")
		require.NoError(t, err)
		require.Equal(t, file(), b, "the second attempt is whole")
	}
	eventually(t, func() bool { return f.Counters().InFlight == 0 })
	require.Equal(t, int64(3), f.counters(t).Failed)
}

func TestStallEndsByTimeOrWithThePlan(t *testing.T) {
	eachTransport(t, func(t *testing.T, f *fake) {
		f.plan(t, `rules: [{ops: [get], stall: {after: 1000, for: 10ms}}]`)
		_, b, err := f.get(t, "/a")
		require.NoError(t, err)
		require.Equal(t, file(), b)
		f.plan(t, `rules: [{ops: [get], stall: {after: 1000}}]`)
		resp, err := f.http.Get(f.srv.URL + "/a")
		require.NoError(t, err)
		defer resp.Body.Close()
		head := make([]byte, 1000)
		_, err = io.ReadFull(resp.Body, head)
		require.NoError(t, err, "what comes before the stall is flushed")
		require.NoError(t, f.client.ClearFaults(t.Context()))
		rest, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, file(), append(head, rest...))
	})
}

func TestFlipInvertsOneBit(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, `rules: [{ops: [get, put], flip: {offset: 54321}}]`)
	want := file()
	want[54321] ^= 1
	_, b, err := f.get(t, "/a")
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, b))
	_, err = f.put(t, "/a", bytes.NewReader(file()))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, f.stored["a"]))
}

func TestUploadIsCutWhileReadingAndAfterStoring(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, `rules: [{ops: [put], attempts: 1, reset: {after: 50000}}]`)
	_, err := f.put(t, "/a", bytes.NewReader(file()))
	require.Error(t, err)
	eventually(t, func() bool { return f.Counters().Failed == 1 })
	require.NotContains(t, f.stored, "a")
	require.Equal(t, int64(50000), f.counters(t).Bytes)
	f.plan(t, `rules: [{ops: [put], attempts: 1, reset: {at: end}}]`)
	_, err = f.put(t, "/a", bytes.NewReader(file()))
	require.Error(t, err, "the client does not learn that it is stored")
	eventually(t, func() bool { return f.Counters().Finished == 1 })
	require.True(t, bytes.Equal(file(), f.stored["a"]))
}

func TestEndOfARequestWithoutTransfer(t *testing.T) {
	f := newFake(t, false)
	f.http.Transport.(*http.Transport).DisableKeepAlives = true
	f.plan(t, `rules: [{ops: [ack], reset: {at: end}}]`)
	_, _, err := f.get(t, "/ack")
	require.Error(t, err)
	require.Equal(t, int64(1), f.counters(t).FaultsFired)
	require.Equal(t, int64(1), f.counters(t).FaultsHarmful)
}

func TestWhatIsLeftToTheFake(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, `rules: [{ops: [list], attempts: 1, empty_page: true}, {ops: [list], limit: 1, duplicates: 3}, `+
		`{ops: [ack], change: true}]`)
	_, b, err := f.get(t, "/list")
	require.NoError(t, err)
	require.Equal(t, "empty=true duplicates=0", string(b))
	_, b, err = f.get(t, "/list")
	require.NoError(t, err)
	require.Equal(t, "empty=false duplicates=3", string(b))
	_, b, err = f.get(t, "/ack")
	require.NoError(t, err)
	require.Equal(t, "done changed=true", string(b))
	require.Equal(t, int64(3), f.counters(t).FaultsFired)
	require.Zero(t, f.counters(t).FaultsHarmful)
}

func TestSkipAndLimitCountMatches(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, `rules: [{ops: [ack], skip: 2, limit: 3, error: {status: 401, reason: authError}}]`)
	var got []int
	for range 7 {
		resp, _, err := f.get(t, "/ack")
		require.NoError(t, err)
		got = append(got, resp.StatusCode)
	}
	require.Equal(t, []int{200, 200, 401, 401, 401, 200, 200}, got)
}

func TestQuotaPerMinute(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := options
	o.Now = func() time.Time { return now }
	f := newFakeWith(t, false, o)
	f.plan(t, `quotas: [{ops: [ack], per_minute: 3, error: {status: 403, reason: rateLimitExceeded}}]`)
	statuses := func(n int) (got []int) {
		for range n {
			resp, _, err := f.get(t, "/ack")
			require.NoError(t, err)
			got = append(got, resp.StatusCode)
		}
		return got
	}
	require.Equal(t, []int{200, 200, 200, 403, 403}, statuses(5))
	_, _, err := f.get(t, "/list")
	require.NoError(t, err, "another operation has no quota")
	now = now.Add(time.Minute)
	require.Equal(t, []int{200, 200, 200, 403}, statuses(4))
}

func TestProbabilityIsDeterministicWhateverTheOrder(t *testing.T) {
	struck := func(seed string, names []string) map[string]bool {
		f := newFake(t, false)
		f.plan(t, `{"seed": `+seed+
			`, "rules": [{"ops": ["get"], "probability": 0.3, "error": {"status": 500, "reason": "x"}}]}`)
		got := map[string]bool{}
		for _, n := range names {
			resp, _, err := f.get(t, "/"+n)
			require.NoError(t, err)
			got[n] = resp.StatusCode == 500
		}
		return got
	}
	var names, reversed []string
	for i := range 300 {
		n := "f" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		names = append(names, n)
		reversed = append([]string{n}, reversed...)
	}
	a := struck("7", names)
	require.Equal(t, a, struck("7", reversed))
	require.NotEqual(t, a, struck("8", names))
	n := 0
	for _, s := range a {
		if s {
			n++
		}
	}
	require.InDelta(t, 90, n, 30, "about 0.3 of 300")
}

func TestBandwidthOfAStreamAndInTotal(t *testing.T) {
	for plan, want := range map[string]time.Duration{
		`bandwidth: {stream: 50000}`:               2 * time.Second,
		`bandwidth: {total: 50000}`:                4 * time.Second,
		`bandwidth: {stream: 1MiB, total: 100000}`: 2 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) { // the bubble's clock: exact, and no real waiting
			c := control.New(options)
			_, err := c.SetPlanText([]byte(plan))
			require.NoError(t, err)
			begun := time.Now()
			done := make(chan struct{})
			for range 2 {
				go func() {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://fake/a", nil)
					require.NoError(t, err)
					tr := c.Begin(r, fault.Request{Op: opPut, Size: fileSize}, fault.Action{})
					// reads that bring less than is asked for
					_, err = io.Copy(io.Discard, tr.Reader(iotest.HalfReader(bytes.NewReader(file()))))
					require.NoError(t, err)
					tr.End(nil)
					done <- struct{}{}
				}()
			}
			<-done
			<-done
			require.InEpsilon(t, want.Seconds(), time.Since(begun).Seconds(), 0.06, plan)
		})
	}
}

func TestLatencyOfRequestsAndOfAcceptance(t *testing.T) {
	f := newFake(t, false)
	f.plan(t, `rules: [{ops: [ack], latency: 30ms}, {ops: [ack], latency: 20ms, jitter: 1ms}]`)
	begun := time.Now()
	_, _, err := f.get(t, "/ack")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begun), 50*time.Millisecond, "latencies add up")

	f.http.CloseIdleConnections()
	f.plan(t, `rules: [{ops: [accept], limit: 1, latency: 50ms}]`)
	begun = time.Now()
	_, _, err = f.get(t, "/list")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(begun), 50*time.Millisecond)
	require.Equal(t, int64(2), f.counters(t).FaultsFired)
	require.Zero(t, f.counters(t).FaultsHarmful, "what only waits has failed nothing")
}

func TestResetAtAcceptance(t *testing.T) {
	f := newFake(t, true)
	f.plan(t, `rules: [{ops: [accept], limit: 1, reset: {}}]`)
	_, _, err := f.get(t, "/list")
	require.Error(t, err)
	_, _, err = f.get(t, "/list")
	require.NoError(t, err)
}

func TestMetricsAreTheCounters(t *testing.T) {
	f := newFake(t, false)
	_, _, err := f.get(t, "/a")
	require.NoError(t, err)
	require.Equal(t, 18, len(gather(t, f.Collector("fake"))))
	// The client has its answer before the handler has counted it.
	require.Eventually(t, func() bool {
		return gather(t, f.Collector("fake"))["fake_transferred_bytes_total"] == float64(fileSize)
	}, 10*time.Second, time.Millisecond)
}
