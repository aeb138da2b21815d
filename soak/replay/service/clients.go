package service

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	gdrive "google.golang.org/api/drive/v3"
	"google.golang.org/api/option"
)

// clients are the SDKs of both sides, each over a transport of its own.
type clients struct {
	drive      *gdrive.FilesService
	store      *s3.Client
	upload     *transfermanager.Client
	transports []*http.Transport
}

func newClients(cfg Config) (*clients, error) {
	base, err := driveBase(cfg.Drive)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(cfg.S3); err != nil || u.Host == "" {
		return nil, fmt.Errorf("s3 endpoint %q: want a URL as in http://127.0.0.1:9000", cfg.S3)
	}
	c := &clients{}
	svc, err := gdrive.NewService(context.Background(), option.WithHTTPClient(c.http(cfg)), option.WithEndpoint(base))
	if err != nil {
		return nil, err
	}
	c.drive = svc.Files
	c.store = s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(cfg.S3), UsePathStyle: true, HTTPClient: c.http(cfg),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "replay", SecretAccessKey: "replay"}, nil
		}),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
	c.upload = transfermanager.New(c.store, func(o *transfermanager.Options) {
		o.PartSizeBytes, o.MultipartUploadThreshold = int64(cfg.Traits.PartSize), int64(cfg.Traits.PartSize)
		o.Concurrency = cfg.Traits.PartConcurrency
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	})
	return c, nil
}

// http makes a client as the history has them: a pool, and a timeout of whole requests.
func (c *clients) http(cfg Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = cfg.Traits.MaxIdle, cfg.Traits.MaxIdlePerHost
	if w := int(cfg.Traits.StreamWindow); w > 0 {
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: w}
	}
	c.transports = append(c.transports, t)
	return &http.Client{Transport: t, Timeout: cfg.Traits.Timeout}
}

func (c *clients) close() {
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// driveBase makes the base URL end in the path that the SDK wants.
func driveBase(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("drive endpoint %q: want a URL as in http://127.0.0.1:8080", base)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/drive/v3") + "/drive/v3/"
	return u.String(), nil
}
