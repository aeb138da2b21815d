// Command pipe copies the files of a Drive folder to S3 in the barest way that Go offers: GET body -> PUT with its
// Content-Length, over shared keep-alive connections. Nothing is verified, retried or remembered: it is what the
// migrator's speed and memory are compared with.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
)

type file struct {
	ID, Name, MimeType string
	Size               string
}

type pipe struct {
	drive, sink string
	client      *http.Client
}

func main() {
	drive := flag.String("drive", "", "base URL of Drive")
	sink := flag.String("sink", "", "base URL of the store, with bucket and prefix")
	root := flag.String("root", "", "folder id")
	ca := flag.String("ca", "", "PEM of the authorities to trust")
	workers := flag.Int("workers", 8, "files at once")
	flag.Parse()
	if err := run(*drive, *sink, *root, *ca, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "pipe:", err)
		os.Exit(1)
	}
}

func run(drive, sink, root, ca string, workers int) error {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	p := &pipe{drive: drive, sink: sink, client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: workers, ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}}}
	files := make(chan file, 1000)
	errs := make(chan error, workers+1)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for f := range files {
				if err := p.copy(f); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	listed := make(chan error, 1)
	go func() { defer close(files); listed <- p.list(root, files) }()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case err := <-errs:
		return err
	case <-done:
		return <-listed
	}
}

func (p *pipe) list(folder string, files chan<- file) error {
	for token := ""; ; {
		q := url.Values{"q": {"'" + folder + "' in parents and trashed = false"}, "pageSize": {"1000"},
			"fields": {"nextPageToken,files(id,name,mimeType,size)"}}
		if token != "" {
			q.Set("pageToken", token)
		}
		resp, err := p.client.Get(p.drive + "/drive/v3/files?" + q.Encode())
		if err != nil {
			return err
		}
		var page struct {
			Files         []file
			NextPageToken string
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil {
			return err
		}
		for _, f := range page.Files {
			if f.MimeType == "application/vnd.google-apps.folder" {
				if err := p.list(f.ID, files); err != nil {
					return err
				}
			} else {
				files <- f
			}
		}
		if token = page.NextPageToken; token == "" {
			return nil
		}
	}
}

func (p *pipe) copy(f file) error {
	resp, err := p.client.Get(p.drive + "/drive/v3/files/" + f.ID + "?alt=media")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	req, err := http.NewRequest(http.MethodPut, p.sink+"/"+f.ID, resp.Body)
	if err != nil {
		return err
	}
	if req.ContentLength, err = strconv.ParseInt(f.Size, 10, 64); err != nil {
		return err
	}
	if req.ContentLength == 0 {
		req.Body = http.NoBody
	}
	put, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer put.Body.Close()
	if resp.StatusCode != http.StatusOK || put.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: GET %s, PUT %s", f.Name, resp.Status, put.Status)
	}
	_, err = io.Copy(io.Discard, put.Body)
	return err
}
