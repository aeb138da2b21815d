package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/soak/internal/gateway"
)

// start opens gates and returns their addresses and a client of their control protocol.
func start(t *testing.T, c gateway.Config) (map[string]string, *gateway.Client) {
	t.Helper()
	s, err := gateway.Start(c)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	client := gateway.NewClient(s.Addresses())
	t.Cleanup(client.Close)
	return s.Addresses().Gates, client
}

// echo answers with the request's body.
func echo(t *testing.T) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Path", r.URL.RequestURI())
		w.Header().Set("X-Proto", r.Proto)
		w.Write(b)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func post(url, body string) (string, error) {
	resp, err := http.Post(url, "text/plain", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestAGatePassesOnAndCounts(t *testing.T) {
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: echo(t).URL}}})
	for _, path := range []string{"/a?x=1", "/a?x=1", "/b;c"} {
		got, err := post(addr["api"]+path, "12345")
		require.NoError(t, err)
		assert.Equal(t, "12345", got)
	}
	var v gateway.Seen
	require.Eventually(t, func() bool { // a reply's end is seen before the gate has counted it
		seen, err := client.Seen(t.Context())
		v = seen["api"]
		return err == nil && v.Finished == 3
	}, 10*time.Second, time.Millisecond)
	assert.EqualValues(t, 3, v.Requests)
	assert.EqualValues(t, 2, v.Distinct, "the same key twice is one")
	assert.EqualValues(t, 15, v.BytesIn)
	assert.EqualValues(t, 15, v.Bytes)
	assert.EqualValues(t, map[int]int64{200: 3}, v.Statuses)
	assert.EqualValues(t, 0, v.InFlight)
	assert.Positive(t, v.ConnsTotal)
}

func TestRequestsAreHeldAtEachPoint(t *testing.T) {
	target := echo(t)
	for _, h := range []fault.Hold{
		{Point: fault.GateRequest}, {Point: fault.GateReply},
		{Point: fault.GateRequestBody, Offset: 3}, {Point: fault.GateReplyBody, Offset: 3}, {Point: fault.GateReplyBody,
			Offset: -1},
	} {
		t.Run(fmt.Sprintf("%s %d", h.Point, h.Offset), func(t *testing.T) {
			addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: target.URL}}})
			ctl := client.Gate("api")
			hold, err := ctl.Hold(t.Context(), h)
			require.NoError(t, err)
			const n = 4
			replies := make(chan string, n)
			for range n {
				go func() {
					got, err := post(addr["api"], "12345")
					if err != nil {
						got = err.Error()
					}
					replies <- got
				}()
			}
			status, err := ctl.WaitArrived(t.Context(), hold.ID, n, 10*time.Second)
			require.NoError(t, err)
			require.Equal(t, n, status.Waiting)
			assert.EqualValues(t, n*5, status.BytesWaiting)
			assert.Empty(t, replies)
			_, err = ctl.Release(t.Context(), hold.ID, 0)
			require.NoError(t, err)
			for range n {
				assert.Equal(t, "12345", <-replies)
			}
		})
	}
}

func TestBytesBeforeTheStopReachTheClient(t *testing.T) {
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Make: &gateway.Reply{Size: 100}}}})
	hold, err := client.Gate("api").Hold(t.Context(), fault.Hold{Point: fault.GateReplyBody, Offset: -1})
	require.NoError(t, err)
	resp, err := http.Get(addr["api"])
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.ReadFull(resp.Body, make([]byte, 99))
	require.NoError(t, err, "all but the last byte come while the reply is held")
	_, err = client.Gate("api").Release(t.Context(), hold.ID, 0)
	require.NoError(t, err)
	rest, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Len(t, rest, 1)
}

// TestHTTP2IsHeldPerStream has an upstream of gRPC, whose status comes behind the reply.
func TestHTTP2IsHeldPerStream(t *testing.T) {
	target := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto)
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}))
	target.Config.Protocols = new(http.Protocols)
	target.Config.Protocols.SetUnencryptedHTTP2(true)
	target.Start()
	defer target.Close()
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api",
		Target: strings.Replace(target.URL, "http", "grpc", 1)}}})
	assert.NotContains(t, addr["api"], "://", "a client of gRPC takes no scheme")
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	h2 := &http.Client{Transport: tr}
	ctl := client.Gate("api")
	hold, err := ctl.Hold(t.Context(), fault.Hold{Point: fault.GateReply, Limit: 1})
	require.NoError(t, err)
	held := make(chan string, 1)
	go func() {
		resp, err := h2.Get("http://" + addr["api"] + "/held")
		if err != nil {
			held <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		held <- string(b)
	}()
	_, err = ctl.WaitArrived(t.Context(), hold.ID, 1, 10*time.Second)
	require.NoError(t, err)
	resp, err := h2.Get("http://" + addr["api"] + "/free")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0", string(b), "another stream of the same connection passes")
	assert.Equal(t, "0", resp.Trailer.Get("Grpc-Status"))
	seen, err := client.Seen(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, seen["api"].ConnsOpen)
	assert.EqualValues(t, 1, seen["api"].InFlight)
	_, err = ctl.Release(t.Context(), hold.ID, 0)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/2.0", <-held)
}

func TestAGateEndsTLSWithItsOwnCA(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		target := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "secret by ", r.Proto)
		}))
		target.EnableHTTP2 = http2
		target.Config.ErrorLog = log.New(t.Output(), "", 0)
		target.StartTLS()
		defer target.Close()
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[http2]
		reply, proto := throughTLS(t, target.URL)
		assert.Equal(t, "secret by "+want, reply)
		assert.Equal(t, want, proto, "a client is offered what the target speaks")
	}
}

// throughTLS asks a target by way of a gate, as a client that would speak HTTP/2.
func throughTLS(t *testing.T, target string) (reply, proto string) {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	addr, _ := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: target}}, CAFile: ca})
	require.True(t, strings.HasPrefix(addr["api"], "https://"), addr["api"])
	text, err := os.ReadFile(ca)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(addr["api"])
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(b), resp.Proto
}

func TestRawBytesAreCountedInTurnsAndHeld(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					io.WriteString(c, "+"+line)
				}
			}()
		}
	}()
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "redis", Target: "tcp://" + l.Addr().String()}}})
	c, err := net.Dial("tcp", addr["redis"])
	require.NoError(t, err)
	defer c.Close()
	r := bufio.NewReader(c)
	for range 2 {
		fmt.Fprintln(c, "PING")
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, "+PING\n", line)
	}
	seen, err := client.Seen(t.Context())
	require.NoError(t, err)
	v := seen["redis"]
	assert.EqualValues(t, 2, v.Requests)
	assert.EqualValues(t, 10, v.BytesIn)
	assert.EqualValues(t, 12, v.Bytes)
	assert.EqualValues(t, 1, v.ConnsOpen)
	assert.EqualValues(t, 1, v.ConnsIdle)

	ctl := client.Gate("redis")
	hold, err := ctl.Hold(t.Context(), fault.Hold{Point: fault.GateBytes})
	require.NoError(t, err)
	fmt.Fprintln(c, "HELD")
	status, err := ctl.WaitArrived(t.Context(), hold.ID, 1, 10*time.Second)
	require.NoError(t, err)
	assert.Equal(t, 1, status.Waiting)
	_, err = ctl.Release(t.Context(), hold.ID, 0)
	require.NoError(t, err)
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "+HELD\n", line)
}

func TestATargetThatIsDownIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: "http://" + l.Addr().String()}}})
	resp, err := http.Get(addr["api"] + "/quote?token=secret")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusBadGateway, resp.StatusCode)
	seen, err := client.Seen(t.Context())
	require.NoError(t, err)
	v := seen["api"]
	assert.EqualValues(t, 1, v.Unreached)
	assert.EqualValues(t, 1, v.Failed)
	require.Len(t, v.Errors, 1)
	assert.Equal(t, "connection refused", v.Errors[0].Why)
	assert.Equal(t, "/quote", v.Errors[0].Path, "no query: it may have a secret")
}

func TestPlansOfFaultsStrikeAtAGate(t *testing.T) {
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: echo(t).URL}}})
	ctl := client.Gate("api")
	require.NoError(t, ctl.SetFaults(t.Context(), []byte(`rules: [{truncate: {after: 2}}]`)))
	_, err := post(addr["api"], "12345")
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, ctl.SetFaults(t.Context(), []byte(`rules: [{reset: {}}]`)))
	_, err = post(addr["api"], "12345")
	assert.Error(t, err)
	require.NoError(t, ctl.SetFaults(t.Context(), []byte(`rules: [{error: {status: 503, reason: busy}}]`)))
	got, err := post(addr["api"], "12345")
	require.NoError(t, err)
	assert.Contains(t, got, "busy")
}

// TestAShareOfRequestsStrikesThoseForOnePathToo has a client that always asks for the same.
func TestAShareOfRequestsStrikesThoseForOnePathToo(t *testing.T) {
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Make: &gateway.Reply{}}}})
	require.NoError(t, client.Gate("api").SetFaults(t.Context(),
		[]byte(`{"rules": [{"probability": 0.2, "error": {"status": 503}}]}`)))
	struck := 0
	for range 200 {
		resp, err := http.Get(addr["api"] + "/next")
		require.NoError(t, err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusServiceUnavailable {
			struck++
		}
	}
	assert.InDelta(t, 40, struck, 30)
}

func TestTheTargetSeesAsManyConnectionsAsTheClientsOpen(t *testing.T) {
	target := echo(t)
	addr, client := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "front"}}})
	require.NoError(t, client.SetTarget(t.Context(), "front", target.URL))
	var clients []*http.Transport
	for range 5 {
		tr := &http.Transport{}
		clients = append(clients, tr)
		resp, err := (&http.Client{Transport: tr}).Get(addr["front"])
		require.NoError(t, err)
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	seen, err := client.Seen(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 5, seen["front"].ConnsOpen)
	n, err := client.Gate("front").CloseIdle(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 5, n)
	for _, tr := range clients {
		tr.CloseIdleConnections()
	}
}

func TestAGateIsNoOpenProxy(t *testing.T) {
	for _, target := range []string{"http://example.com", "http://192.0.2.1:80", "ftp://127.0.0.1", "tcp://127.0.0.1",
		"http://u:p@127.0.0.1"} {
		_, err := gateway.Start(gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: target}}})
		assert.ErrorIs(t, err, gateway.ErrConfig, target)
	}
	_, err := gateway.ParseTarget("http://example.com", []string{"example.com"})
	require.NoError(t, err)

	addr, _ := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: echo(t).URL}}})
	c, err := net.Dial("tcp", strings.TrimPrefix(addr["api"], "http://"))
	require.NoError(t, err)
	defer c.Close()
	fmt.Fprint(c, "GET http://192.0.2.1/elsewhere HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, "/elsewhere", resp.Header.Get("X-Path"), "it was answered by the gate's own target")
}

func TestBodiesAreStreamed(t *testing.T) {
	addr, _ := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: echo(t).URL}}})
	big := bytes.Repeat([]byte("x"), 8<<20)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addr["api"], bytes.NewReader(big))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(big, got))
}

func TestATargetMayAnswerBeforeItHasReadTheBody(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		assert.NoError(t, c.EnableFullDuplex())
		fmt.Fprint(w, "early ")
		assert.NoError(t, c.Flush())
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, len(b), err)
	}))
	t.Cleanup(target.Close)
	addr, _ := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: target.URL}}})
	rest, body := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addr["api"], io.MultiReader(strings.NewReader("half"),
		rest))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err, "the reply comes although the body has not ended")
	defer resp.Body.Close()
	_, err = body.Write([]byte("half"))
	require.NoError(t, err)
	require.NoError(t, body.Close())
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, "early 8 <nil>", string(got))
}

func TestAConnectionThatTheTargetClosesIsClosedForItsClient(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "early") }))
	defer target.Close()
	addr, _ := start(t, gateway.Config{Gates: []gateway.Gate{{Name: "front", Target: target.URL}}})
	// A server reads 256 KiB that its handler did not; the largest body is more than sockets take in.
	for size, closed := range map[int]bool{1 << 10: false, 1 << 20: true, 32 << 20: true} {
		resp, err := http.Post(addr["front"], "text/plain", strings.NewReader(strings.Repeat("x", size)))
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		assert.Equal(t, "early", string(got))
		assert.Equal(t, closed, resp.Close, "%d bytes that the target does not read", size)
	}
}

// TestAChangeOfAGateTakesItsToken asks as any process of the machine can, and as one that has read the address file.
func TestAChangeOfAGateTakesItsToken(t *testing.T) {
	s, err := gateway.Start(gateway.Config{Gates: []gateway.Gate{{Name: "api", Target: "http://127.0.0.1:9"}},
		Token: "secret"})
	require.NoError(t, err)
	defer s.Close()
	put := func(a fault.Addresses) int {
		req, err := http.NewRequest(http.MethodPut, gateway.AdminOf(a.Admin, "api")+fault.AdminPrefix+"faults",
			strings.NewReader(`{"rules": []}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, http.StatusUnauthorized, put(s.Addresses()))
	require.Equal(t, http.StatusOK, put(s.Addresses().WithToken("secret")))
}
