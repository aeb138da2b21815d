// Package pipe copies the files of a Drive folder to S3 in the barest way: GET body -> PUT with its Content-Length,
// over shared keep-alive connections. Nothing is verified, retried or remembered: it is what the migrator's speed and
// memory are compared with. One command does so by net/http alone (bare), another by the SDKs that the migrator uses
// (sdk).
package pipe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
)

// File is what a pipe reads of a listing.
type File struct {
	ID, Name, MimeType string
	Size               string
}

// Options are what the command line says.
type Options struct {
	Drive, Sink, Bucket, Prefix string
	Client                      *http.Client
}

// Ends are the two sides of a pipe.
type Ends interface {
	// List returns a page of a folder.
	List(folder, token string) (files []File, next string, err error)
	// Get opens a file's content.
	Get(id string) (io.ReadCloser, error)
	// Put stores an object.
	Put(key string, body io.Reader, size int64) error
}

// Main runs a pipe as a command and returns its exit code.
func Main(open func(Options) (Ends, error)) int {
	var o Options
	flag.StringVar(&o.Drive, "drive", "", "base URL of Drive")
	flag.StringVar(&o.Sink, "sink", "", "base URL of the store")
	flag.StringVar(&o.Bucket, "bucket", "", "bucket")
	flag.StringVar(&o.Prefix, "prefix", "", "what keys begin with")
	root := flag.String("root", "", "folder id")
	ca := flag.String("ca", "", "PEM of the authorities to trust")
	workers := flag.Int("workers", 8, "files at once")
	flag.Parse()
	if err := run(o, open, *root, *ca, *workers); err != nil {
		fmt.Fprintln(os.Stderr, "pipe:", err)
		return 1
	}
	return 0
}

func run(o Options, open func(Options) (Ends, error), root, ca string, workers int) error {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	o.Client = &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: workers, ReadBufferSize: 32 << 10, WriteBufferSize: 32 << 10, DisableCompression: true,
		TLSClientConfig: &tls.Config{RootCAs: pool},
	}}
	ends, err := open(o)
	if err != nil {
		return err
	}
	return copyAll(ends, root, o.Prefix, workers)
}

// copyAll copies a tree by so many workers, and ends at the first error.
func copyAll(ends Ends, root, prefix string, workers int) error {
	files := make(chan File, 1000)
	errs := make(chan error, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for f := range files {
				if err := copyFile(ends, prefix, f); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	listed := make(chan error, 1)
	go func() { defer close(files); listed <- list(ends, root, files) }()
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case err := <-errs:
		return err
	case err := <-listed: // the workers end with the channel
		<-done
		select {
		case failed := <-errs:
			return errors.Join(err, failed)
		default:
			return err
		}
	}
}

func list(ends Ends, folder string, to chan<- File) error {
	for token := ""; ; {
		files, next, err := ends.List(folder, token)
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.MimeType != "application/vnd.google-apps.folder" {
				to <- f
			} else if err := list(ends, f.ID, to); err != nil {
				return err
			}
		}
		if token = next; token == "" {
			return nil
		}
	}
}

func copyFile(ends Ends, prefix string, f File) error {
	size, err := strconv.ParseInt(f.Size, 10, 64)
	if err != nil {
		return err
	}
	body, err := ends.Get(f.ID)
	if err != nil {
		return err
	}
	defer body.Close()
	return ends.Put(prefix+"/"+f.ID, body, size)
}
