// Command uploaders is a subject for make capacity: a plain copier from Drive to S3 whose upload is a library of other
// people, used as its documentation shows. It is a module of its own, so that their requirements are not the project's.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	_ "net/http/pprof"
	"net/url"
	"os"
	"slices"
	"strings"
)

// upload stores a body under a key. Libraries that ask for no size don't get it.
type upload func(ctx context.Context, key string, body io.Reader, size int64) error

// uploader makes the upload of a library for a bucket of the S3 service at an address.
type uploader func(ctx context.Context, endpoint *url.URL, bucket string) (upload, error)

var uploaders = map[string]uploader{
	"aws-v1":         awsV1,
	"minio-known":    minioKnown,
	"minio-parallel": minioParallel,
	"minio-small":    minioSmall,
	"gocloud":        goCloud,
	"objstore":       objStore,
	"distribution":   distribution,
	"tusd":           tusd,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "uploaders:", err)
		os.Exit(1)
	}
}

func run() error {
	name := flag.String("uploader", "", "which: "+strings.Join(slices.Sorted(maps.Keys(uploaders)), ", "))
	listen := flag.String("listen", "127.0.0.1:0", "address of the control server")
	drive := flag.String("drive-endpoint", "", "base URL of the Drive")
	store := flag.String("s3-endpoint", "", "base URL of the S3 service")
	bucket := flag.String("bucket", "", "bucket to copy into")
	workers := flag.Int("workers", 8, "files at the same time")
	flag.Parse()
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu"} {
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	make, ok := uploaders[*name]
	if !ok || *workers < 1 {
		return fmt.Errorf("no uploader %q with %d workers; see -help", *name, *workers)
	}
	endpoint, err := url.Parse(*store)
	if err != nil {
		return err
	}
	up, err := make(context.Background(), endpoint, *bucket)
	if err != nil {
		return err
	}
	c := &copier{drive: strings.TrimSuffix(*drive, "/"), workers: *workers, upload: up}
	http.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("POST /v1/waves", c.wave)
	return http.ListenAndServe(*listen, nil)
}
