package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// copier copies a tree with a bounded number of workers, one folder after the other.
type copier struct {
	drive   string
	workers int
	upload  upload
}

// file is what a listing says of a file or folder.
type file struct {
	ID, Name, MimeType, Size string
}

func (c *copier) wave(w http.ResponseWriter, r *http.Request) {
	var ask struct{ Root, Prefix string }
	err := json.NewDecoder(r.Body).Decode(&ask)
	if err == nil {
		err = c.copy(r.Context(), ask.Root, ask.Prefix)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// copy walks the tree and hands files to the workers; a walk that is ahead of them waits.
func (c *copier) copy(ctx context.Context, root, prefix string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.workers)
	type folder struct{ id, path string }
	for todo := []folder{{root, prefix}}; len(todo) > 0; {
		at := todo[0]
		todo = todo[1:]
		err := c.list(ctx, at.id, func(f file) {
			path := at.path + "/" + f.Name
			if f.MimeType == "application/vnd.google-apps.folder" {
				todo = append(todo, folder{f.ID, path})
				return
			}
			g.Go(func() error { return c.one(ctx, f, path) })
		})
		if err != nil {
			_ = g.Wait() // the listing's error is the first
			return err
		}
	}
	return g.Wait()
}

func (c *copier) list(ctx context.Context, folder string, yield func(file)) error {
	for token := ""; ; {
		q := url.Values{"q": {"'" + folder + "' in parents and trashed = false"}, "pageSize": {"200"},
			"fields": {"nextPageToken,files(id,name,mimeType,size)"}, "pageToken": {token}}
		if token == "" {
			q.Del("pageToken")
		}
		body, err := c.get(ctx, "/drive/v3/files?"+q.Encode())
		if err != nil {
			return err
		}
		var page struct {
			NextPageToken string
			Files         []file
		}
		err = json.NewDecoder(body).Decode(&page)
		body.Close()
		if err != nil {
			return err
		}
		for _, f := range page.Files {
			yield(f)
		}
		if token = page.NextPageToken; token == "" {
			return nil
		}
	}
}

// one copies a file.
func (c *copier) one(ctx context.Context, f file, key string) error {
	size, err := strconv.ParseInt(f.Size, 10, 64)
	if err != nil {
		return fmt.Errorf("size of %s: %w", f.Name, err)
	}
	body, err := c.get(ctx, "/drive/v3/files/"+url.PathEscape(f.ID)+"?alt=media")
	if err != nil {
		return err
	}
	defer body.Close()
	return c.upload(ctx, key, body, size)
}

func (c *copier) get(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.drive+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return resp.Body, nil
}
