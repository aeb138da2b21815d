// Command sdk is the pipe by Google's Drive client and the AWS SDK for Go v2, each called as its documents show. The
// sink's settings are the cheapest that stream: no checksum of the SDK's own, and a payload that isn't signed.
package main

import (
	"context"
	"io"
	"os"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	gdrive "google.golang.org/api/drive/v3"
	"google.golang.org/api/option"

	"github.com/memsoak/memsoak/migrator/internal/bench/pipe"
)

func main() { os.Exit(pipe.Main(open)) }

type sdk struct {
	files  *gdrive.FilesService
	store  *s3.Client
	bucket string
}

func open(o pipe.Options) (pipe.Ends, error) {
	d, err := gdrive.NewService(context.Background(), option.WithHTTPClient(o.Client),
		option.WithEndpoint(o.Drive+"/drive/v3/"))
	if err != nil {
		return nil, err
	}
	return &sdk{files: d.Files, bucket: o.Bucket, store: s3.New(s3.Options{
		BaseEndpoint: &o.Sink, Region: "us-east-1", UsePathStyle: true, HTTPClient: o.Client,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "bench", SecretAccessKey: "bench"}, nil
		}),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})}, nil
}

// List implements pipe.Ends.
func (s *sdk) List(folder, token string) ([]pipe.File, string, error) {
	call := s.files.List().Q("'"+folder+"' in parents and trashed = false").PageSize(1000).
		Fields("nextPageToken", "files(id,name,mimeType,size)")
	if token != "" {
		call.PageToken(token)
	}
	page, err := call.Do()
	if err != nil {
		return nil, "", err
	}
	files := make([]pipe.File, len(page.Files))
	for i, f := range page.Files {
		files[i] = pipe.File{ID: f.Id, Name: f.Name, MimeType: f.MimeType, Size: strconv.FormatInt(f.Size, 10)}
	}
	return files, page.NextPageToken, nil
}

// Get implements pipe.Ends.
func (s *sdk) Get(id string) (io.ReadCloser, error) {
	resp, err := s.files.Get(id).Download()
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Put implements pipe.Ends.
func (s *sdk) Put(key string, body io.Reader, size int64) error {
	_, err := s.store.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, Body: body,
		ContentLength: &size}, s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware))
	return err
}
