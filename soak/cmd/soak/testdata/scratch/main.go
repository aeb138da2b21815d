// Command copier copies files from Drive to S3: the smallest subject, with the standard library alone.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	_ "net/http/pprof"
	"net/url"
	"os"
	"strconv"
	"sync"

	"example.com/copier/index"
)

var (
	drive, s3 = os.Args[2], os.Args[3]
	done      index.Index
	client    = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
)

func main() {
	http.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/wave", func(w http.ResponseWriter, r *http.Request) {
		var job struct{ Root, Prefix string }
		err := json.NewDecoder(r.Body).Decode(&job)
		if err == nil {
			err = wave(job.Root, job.Prefix)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}

func wave(root, prefix string) error {
	workers, err := strconv.Atoi(os.Args[4])
	if err != nil {
		return err
	}
	ids, errs := make(chan string), make(chan error, workers)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			var failed error
			for id := range ids {
				if failed == nil {
					failed = copyFile(id, prefix)
				}
			}
			errs <- failed
		})
	}
	err = list(root, ids)
	close(ids)
	all.Wait()
	for range workers {
		if e := <-errs; err == nil {
			err = e
		}
	}
	return err
}

func list(root string, ids chan<- string) error {
	q := url.Values{"q": {"'" + root + "' in parents and trashed = false"}, "fields": {"nextPageToken,files(id)"}}
	for {
		resp, err := do(http.MethodGet, drive+"/drive/v3/files?"+q.Encode(), nil, 0)
		if err != nil {
			return err
		}
		var page struct {
			NextPageToken string
			Files         []struct{ ID string }
		}
		err = json.NewDecoder(resp.Body).Decode(&page)
		resp.Body.Close()
		if err != nil {
			return err
		}
		for _, f := range page.Files {
			ids <- f.ID
		}
		if page.NextPageToken == "" {
			return nil
		}
		q.Set("pageToken", page.NextPageToken)
	}
}

func copyFile(id, prefix string) error {
	get, err := do(http.MethodGet, drive+"/drive/v3/files/"+id+"?alt=media", nil, 0)
	if err != nil {
		return err
	}
	defer get.Body.Close()
	put, err := do(http.MethodPut, s3+"/"+prefix+"/"+id, get.Body, get.ContentLength)
	if err != nil {
		return err
	}
	defer put.Body.Close()
	_, err = io.Copy(io.Discard, put.Body)
	done.Add(id)
	return err
}

func do(method, url string, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	resp, err := client.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = fmt.Errorf("%s %s: %s", method, req.URL.Path, resp.Status)
	}
	return resp, err
}
