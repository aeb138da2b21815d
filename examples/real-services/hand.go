package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// heapAlloc is the line of a heap profile's text form with the live heap.
var heapAlloc = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// heap is the live heap of the service after two collections, by its own account.
func heap(addr string) (float64, error) {
	var page []byte
	for range 2 {
		resp, err := http.Get("http://" + addr + "/debug/pprof/heap?gc=1&debug=1")
		if err != nil {
			return 0, err
		}
		page, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return 0, err
		}
	}
	m := heapAlloc.FindSubmatch(page)
	if m == nil {
		return 0, fmt.Errorf("%s has no account of its heap", addr)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

// settled is the live heap once two readings differ by less than 1 %.
func settled(addr string) (float64, error) {
	last := 0.0
	for range 100 {
		now, err := heap(addr)
		if err != nil {
			return 0, err
		}
		if d := now - last; d < now/100 && d > -now/100 {
			return now, nil
		}
		last = now
		time.Sleep(200 * time.Millisecond)
	}
	return 0, fmt.Errorf("the heap of %s never settled", addr)
}

func freeAddr() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return ""
	}
	defer l.Close()
	return l.Addr().String()
}

// backend reads what it is sent and keeps nothing.
func backend() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
}

func caddyArgs(p place) []string {
	file := filepath.Join(p.dir, "Caddyfile")
	text := fmt.Sprintf("{\n admin %s\n auto_https off\n persist_config off\n}\nhttp://%s {\n reverse_proxy %s\n}\n",
		p.admin, p.addr, p.upstream)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil // it will not start, which is said
	}
	return []string{"run", "--config", file, "--adapter", "caddyfile"}
}

// uploads is the heap per byte of bodies of 4 MiB that were sent without a length and whose end has not come.
func uploads(p place) (float64, error) {
	const n, size = 8, 4 << 20
	before, err := settled(p.admin)
	if err != nil {
		return 0, err
	}
	sent, ended := make(chan error, n), make(chan error, n)
	var ends []*io.PipeWriter
	for range n {
		r, w := io.Pipe()
		ends = append(ends, w)
		go func() {
			resp, err := http.Post("http://"+p.addr+"/blob", "application/octet-stream", r)
			if err == nil {
				resp.Body.Close()
			}
			ended <- err
		}()
		go func() { _, err := w.Write(bytes.Repeat([]byte("x"), size)); sent <- err }()
	}
	for range n {
		if err := <-sent; err != nil {
			return 0, err
		}
	}
	held, err := settled(p.admin)
	for _, w := range ends {
		w.Close()
	}
	for range n {
		if e := <-ended; err == nil {
			err = e
		}
	}
	return (held - before) / (n * size), err
}

func nsqdArgs(p place) []string {
	return []string{"--http-address=" + p.admin, "--tcp-address=127.0.0.1:0", "--data-path=" + p.dir,
		"--mem-queue-size=100000", "--broadcast-address=127.0.0.1"}
}

// messages is the heap per message of a topic that has no consumer.
func messages(p place) (float64, error) {
	return perRequest(p, func(i int) (*http.Response, error) {
		return http.Post("http://"+p.admin+"/pub?topic=orders", "", bytes.NewBufferString(fmt.Sprintf(
			`{"order": "k1000001-%d"}`, i)))
	})
}

func blackboxArgs(p place) []string {
	file := filepath.Join(p.dir, "blackbox.yml")
	text := "modules:\n  http_2xx: {prober: http, timeout: 100s, http: {preferred_ip_protocol: ip4}}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil // it will not start, which is said
	}
	return []string{"--config.file=" + file, "--web.listen-address=" + p.admin, "--log.level=error"}
}

// probes is the heap per probe, once the history is full.
func probes(p place) (float64, error) {
	return perRequest(p, func(i int) (*http.Response, error) {
		return http.Get(fmt.Sprintf("http://%s/probe?module=http_2xx&target=%s/k%d", p.admin, p.upstream, i))
	})
}

// perRequest is the heap that a request leaves behind, from as many requests before the first reading as after it.
func perRequest(p place, do func(i int) (*http.Response, error)) (float64, error) {
	const n = 3000
	var heaps [2]float64
	for i := range heaps {
		for k := range n {
			resp, err := do(i*n + k)
			if err != nil {
				return 0, err
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return 0, fmt.Errorf("a request was answered with %s", resp.Status)
			}
		}
		var err error
		if heaps[i], err = settled(p.admin); err != nil {
			return 0, err
		}
	}
	return (heaps[1] - heaps[0]) / n, nil
}
