// Package canary is the subject of the gate's self-check: a small Drive-to-S3 copier, healthy unless it is set to leak
// a known amount per file. It comes with the soak binary, so that every gate can prove on its own machine that it sees
// such a leak and that it passes two equal recordings. It is no example of a good copier.
package canary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/memsoak/memsoak/soak/internal/subject"
)

// LinkBytes is the size of one leaked object; it is a size class of the allocator, so that requested and retained bytes
// are equal.
const LinkBytes = 64

// Options of the canary.
type Options struct {
	Drive, S3, Bucket string
	Workers           int
	// LeakBytes are retained per file, rounded up to a multiple of LinkBytes; LeakRoutines never end.
	LeakBytes, LeakRoutines int
}

// Spec is the subject file of the canary that the soak program at the path given serves. leak_bytes and
// leak_goroutines are settings, for an axis or --set.
func Spec(program string) *subject.Spec {
	return &subject.Spec{
		Name: "canary",
		Command: []string{program, "canary", "--listen={{.addr}}", "--drive-endpoint={{.drive_url}}",
			"--s3-endpoint={{.s3_url}}",
			"--bucket={{.bucket}}", "--workers={{.workers}}", "--leak-bytes={{.leak_bytes}}",
			"--leak-goroutines={{.leak_goroutines}}"},
		Pprof: "http://{{.addr}}/debug/pprof",
		Ready: "http://{{.addr}}/ready",
		Wave: subject.Wave{Method: http.MethodPost, URL: "http://{{.addr}}/wave",
			Body: `{"root":"{{.root}}","prefix":"{{.prefix}}"}`},
		Module:   "github.com/memsoak/memsoak",
		Settings: map[string]string{"workers": "4", "leak_bytes": "0", "leak_goroutines": "0"},
	}
}

// Serve serves waves and pprof on the address until ctx ends.
func Serve(ctx context.Context, addr string, o Options) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	c := &copier{o: o, done: ctx.Done(), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Workers}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /wave", c.wave)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// link is a leaked object of LinkBytes.
type link struct {
	next *link
	_    [LinkBytes - 8]byte
}

type copier struct {
	o      Options
	client *http.Client
	done   <-chan struct{}

	mu   sync.Mutex
	kept *link
}

func (c *copier) wave(w http.ResponseWriter, r *http.Request) {
	var job struct{ Root, Prefix string }
	if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := c.copyTree(r.Context(), job.Root, job.Prefix); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

type file struct {
	ID       string `json:"id"`
	MimeType string `json:"mimeType"`
}

// copyTree lists the tree and copies its files with the workers.
func (c *copier) copyTree(ctx context.Context, root, prefix string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan file)
	var workers sync.WaitGroup
	for range c.o.Workers {
		workers.Go(func() {
			for f := range queue {
				if err := c.copyFile(ctx, f.ID, prefix); err != nil {
					cancel(err)
					return
				}
				c.leak()
			}
		})
	}
	err := c.list(ctx, root, queue)
	close(queue)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (c *copier) list(ctx context.Context, folder string, queue chan<- file) error {
	q := url.Values{"q": {fmt.Sprintf("'%s' in parents and trashed = false", folder)}, "pageSize": {"100"},
		"fields": {"nextPageToken,files(id,mimeType)"}}
	for {
		var page struct {
			NextPageToken string `json:"nextPageToken"`
			Files         []file `json:"files"`
		}
		if err := c.page(ctx, c.o.Drive+"/drive/v3/files?"+q.Encode(), &page); err != nil {
			return err
		}
		for _, f := range page.Files {
			if f.MimeType == "application/vnd.google-apps.folder" {
				if err := c.list(ctx, f.ID, queue); err != nil {
					return err
				}
				continue
			}
			if strings.HasPrefix(f.MimeType, "application/vnd.google-apps.") {
				continue
			}
			select {
			case queue <- f:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if page.NextPageToken == "" {
			return nil
		}
		q.Set("pageToken", page.NextPageToken)
	}
}

func (c *copier) page(ctx context.Context, url string, to any) error {
	resp, err := c.do(ctx, http.MethodGet, url, nil, 0)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(to)
}

func (c *copier) copyFile(ctx context.Context, id, prefix string) error {
	get, err := c.do(ctx, http.MethodGet, c.o.Drive+"/drive/v3/files/"+id+"?alt=media", nil, 0)
	if err != nil {
		return err
	}
	defer get.Body.Close()
	put, err := c.do(ctx, http.MethodPut, c.o.S3+"/"+c.o.Bucket+"/"+prefix+"/"+id, get.Body, get.ContentLength)
	if err != nil {
		return err
	}
	defer put.Body.Close()
	_, err = io.Copy(io.Discard, put.Body)
	return err
}

// do sends a request and makes an error of any answer but 200.
func (c *copier) do(ctx context.Context, method, url string, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s %s: %s", method, req.URL.Path, resp.Status)
	}
	return resp, nil
}

// leak retains the requested bytes, once per file.
func (c *copier) leak() {
	for range (c.o.LeakBytes + LinkBytes - 1) / LinkBytes {
		c.mu.Lock()
		c.kept = &link{next: c.kept}
		c.mu.Unlock()
	}
	for range c.o.LeakRoutines {
		go func() { <-c.done }()
	}
}
