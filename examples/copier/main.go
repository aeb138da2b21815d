// Command copier is the smallest service that memsoak can measure: it copies a folder of a Drive to a bucket when
// asked, and serves net/http/pprof. It knows nothing of memsoak.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	_ "net/http/pprof" // /debug/pprof on the default mux
	"net/url"
	"strconv"
	"strings"
	"sync"
)

var (
	listen  = flag.String("listen", "127.0.0.1:8080", "address to serve")
	drive   = flag.String("drive", "https://www.googleapis.com", "base URL of the Drive")
	s3      = flag.String("s3", "", "base URL of the store")
	bucket  = flag.String("bucket", "", "bucket to copy into")
	workers = flag.Int("workers", 8, "files copied at once")
)

func main() {
	flag.Parse()
	http.HandleFunc("POST /copy", func(w http.ResponseWriter, r *http.Request) {
		var job struct{ Root, Prefix string }
		if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := copyTree(r.Context(), job.Root, job.Prefix); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}

// file is an entry of a folder.
type file struct {
	ID, Name, MimeType string
	Size               string
	key                string
}

const folder = "application/vnd.google-apps.folder"

// copyTree lists the tree while workers copy: the channel has no room, so listing waits for them. A file that fails
// leaves the others to be copied; the error is the first one.
func copyTree(ctx context.Context, root, prefix string) error {
	files, failed := make(chan file), make(chan error, 1)
	var wg sync.WaitGroup
	for range *workers {
		wg.Go(func() {
			for f := range files {
				if err := copyFile(ctx, f); err != nil {
					select {
					case failed <- fmt.Errorf("copy %s: %w", f.key, err):
					default: // there is a first one
					}
				}
			}
		})
	}
	err := list(ctx, root, prefix, files)
	close(files)
	wg.Wait()
	select {
	case first := <-failed:
		return first
	default:
		return err
	}
}

// list sends the files below a folder to the workers.
func list(ctx context.Context, id, path string, to chan<- file) error {
	query := url.Values{"q": {"'" + id + "' in parents and trashed = false"}, "pageSize": {"100"},
		"fields": {"nextPageToken,files(id,name,mimeType,size)"}}
	for {
		var page struct {
			NextPageToken string
			Files         []file
		}
		if err := get(ctx, "/drive/v3/files?"+query.Encode(), func(r *http.Response) error {
			return json.NewDecoder(r.Body).Decode(&page)
		}); err != nil {
			return err
		}
		for _, f := range page.Files {
			f.key = path + "/" + url.PathEscape(f.Name)
			switch {
			case f.MimeType == folder:
				if err := list(ctx, f.ID, f.key, to); err != nil {
					return err
				}
			case !strings.HasPrefix(f.MimeType, "application/vnd.google-apps."): // documents are exported, not downloaded
				select {
				case to <- f:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		if page.NextPageToken == "" {
			return nil
		}
		query.Set("pageToken", page.NextPageToken)
	}
}

// copyFile streams a file from one to the other.
func copyFile(ctx context.Context, f file) error {
	return get(ctx, "/drive/v3/files/"+f.ID+"?alt=media", func(from *http.Response) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, *s3+"/"+*bucket+"/"+f.key, io.NopCloser(from.Body))
		if err != nil {
			return err
		}
		if req.ContentLength, err = strconv.ParseInt(f.Size, 10, 64); err != nil {
			return err
		}
		if req.ContentLength == 0 {
			req.Body = http.NoBody
		}
		return do(req, func(*http.Response) error { return nil })
	})
}

func get(ctx context.Context, path string, use func(*http.Response) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, *drive+path, nil)
	if err != nil {
		return err
	}
	return do(req, use)
}

// do reads each body to its end and closes it, so that connections are used again.
func do(req *http.Request, use func(*http.Response) error) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, resp.Status)
	}
	if err := use(resp); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
