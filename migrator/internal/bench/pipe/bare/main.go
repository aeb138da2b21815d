// Command bare is the pipe by net/http and encoding/json alone.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/memsoak/memsoak/migrator/internal/bench/pipe"
)

func main() {
	os.Exit(pipe.Main(func(o pipe.Options) (pipe.Ends, error) {
		return &bare{drive: o.Drive, sink: o.Sink + "/" + o.Bucket + "/", client: o.Client}, nil
	}))
}

type bare struct {
	drive, sink string
	client      *http.Client
}

// List implements pipe.Ends.
func (b *bare) List(folder, token string) ([]pipe.File, string, error) {
	q := url.Values{"q": {"'" + folder + "' in parents and trashed = false"}, "pageSize": {"1000"},
		"fields": {"nextPageToken,files(id,name,mimeType,size)"}}
	if token != "" {
		q.Set("pageToken", token)
	}
	resp, err := b.client.Get(b.drive + "/drive/v3/files?" + q.Encode())
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	var page struct {
		Files         []pipe.File
		NextPageToken string
	}
	err = json.NewDecoder(resp.Body).Decode(&page)
	return page.Files, page.NextPageToken, err
}

// Get implements pipe.Ends.
func (b *bare) Get(id string) (io.ReadCloser, error) {
	resp, err := b.client.Get(b.drive + "/drive/v3/files/" + id + "?alt=media")
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", id, resp.Status)
	}
	return resp.Body, nil
}

// Put implements pipe.Ends.
func (b *bare) Put(key string, body io.Reader, size int64) error {
	req, err := http.NewRequest(http.MethodPut, b.sink+key, body)
	if err != nil {
		return err
	}
	if req.ContentLength = size; size == 0 {
		req.Body = http.NoBody
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("PUT %s: %s", key, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
