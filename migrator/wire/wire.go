// Package wire assembles a migration of its real parts: Google's and AWS's SDKs with their own chains of credentials,
// shared transports, and a queue on disk. The commands and other programs of this repository start here.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	gdrive "google.golang.org/api/drive/v3"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/internal/drive"
	"github.com/memsoak/memsoak/migrator/internal/httpx"
	"github.com/memsoak/memsoak/migrator/internal/queue"
	"github.com/memsoak/memsoak/migrator/internal/s3"
)

// Settings are everything but the [migrator.Config] of one migration. Start from [DefaultSettings].
type Settings struct {
	DriveEndpoint    string // empty for Google's
	DriveID          string // shared drive to stay in
	PageSize         int
	CredentialsFile  string // a service account's key, an authorized user's or an external account's; empty for ADC
	Impersonate      string // user whom the service account acts for (domain-wide delegation)
	ClientID         string // of an OAuth client; with ClientSecret and RefreshToken instead of a file
	ClientSecret     string
	RefreshToken     string
	AcknowledgeAbuse bool

	S3Endpoint   string // empty for AWS
	Bucket       string
	Region       string
	Profile      string
	PathStyle    bool // needed by most stores that aren't AWS; set by itself with S3Endpoint
	StorageClass string
	SSE          string

	MaxIdleConns        int
	MaxIdleConnsPerHost int
	MaxConnsPerHost     int
	ReadBuffer          int // bytes per connection
	WriteBuffer         int
	IdleConnTimeout     time.Duration
	HTTP2               bool
	CAFile              string
}

// DefaultSettings returns the defaults.
func DefaultSettings() Settings {
	return Settings{PageSize: 1000, AcknowledgeAbuse: true, MaxIdleConns: 100, MaxIdleConnsPerHost: 64,
		ReadBuffer: 32 << 10, WriteBuffer: 32 << 10, IdleConnTimeout: 90 * time.Second}
}

// Engine holds the two sides of migrations. Safe for concurrent use.
type Engine struct {
	Source migrator.Source
	Sink   migrator.Sink

	transports []*http.Transport
}

// Close drops idle connections.
func (e *Engine) Close() {
	for _, t := range e.transports {
		t.CloseIdleConnections()
	}
}

// Open makes an Engine, which may outlive ctx. It makes no request but what the credential chains need.
func Open(ctx context.Context, s Settings) (*Engine, error) {
	if s.PageSize < 1 || s.PageSize > 1000 {
		return nil, fmt.Errorf("page size %d: Drive takes 1 to 1000", s.PageSize)
	}
	e := &Engine{}
	toDrive, err := e.transport(s)
	if err != nil {
		return nil, err
	}
	auth, err := driveAuth(ctx, s, toDrive)
	if err != nil {
		return nil, err
	}
	e.Source, err = drive.New(ctx, drive.Options{Client: &http.Client{Transport: auth}, Endpoint: s.DriveEndpoint,
		DriveID: s.DriveID, PageSize: int64(s.PageSize), AcknowledgeAbuse: s.AcknowledgeAbuse})
	if err != nil {
		return nil, err
	}
	if s.CAFile == "" {
		s.CAFile = os.Getenv("AWS_CA_BUNDLE")
	}
	toS3, err := e.transport(s)
	if err != nil {
		return nil, err
	}
	e.Sink, err = sink(ctx, s, &http.Client{Transport: httpx.CapErrors(toS3)})
	return e, err
}

func (e *Engine) transport(s Settings) (*http.Transport, error) {
	t, err := httpx.New(httpx.Options{MaxIdleConns: s.MaxIdleConns, MaxIdleConnsPerHost: s.MaxIdleConnsPerHost,
		MaxConnsPerHost: s.MaxConnsPerHost, ReadBuffer: s.ReadBuffer, WriteBuffer: s.WriteBuffer,
		IdleConnTimeout: s.IdleConnTimeout, HTTP2: s.HTTP2, CAFile: s.CAFile})
	if err == nil {
		e.transports = append(e.transports, t)
	}
	return t, err
}

// driveAuth adds credentials to requests: those of the settings, else Google's default chain. With another endpoint
// than Google's and no credentials set, requests go without.
func driveAuth(ctx context.Context, s Settings, t http.RoundTripper) (http.RoundTripper, error) {
	capped := httpx.CapErrors(t)
	// Tokens are fetched as long as the engine is used, also while a stopped copy ends.
	ctx = context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, &http.Client{Transport: capped})
	var tokens oauth2.TokenSource
	switch {
	case s.RefreshToken != "":
		if s.ClientID == "" {
			return nil, errors.New("a refresh token needs the id and secret of its OAuth client")
		}
		c := oauth2.Config{ClientID: s.ClientID, ClientSecret: s.ClientSecret, Endpoint: google.Endpoint,
			Scopes: []string{gdrive.DriveReadonlyScope}}
		tokens = c.TokenSource(ctx, &oauth2.Token{RefreshToken: s.RefreshToken})
	case s.CredentialsFile != "":
		key, err := bounded.ReadFile(s.CredentialsFile, bounded.Secret)
		if err != nil {
			return nil, fmt.Errorf("credentials of Drive: %w", err)
		}
		creds, err := fileCredentials(ctx, key, s.Impersonate)
		if err != nil {
			return nil, fmt.Errorf("credentials of Drive in %s: %w", s.CredentialsFile, err)
		}
		tokens = creds.TokenSource
	case s.DriveEndpoint != "":
		return capped, nil
	default:
		creds, err := google.FindDefaultCredentialsWithParams(ctx, google.CredentialsParams{
			Scopes: []string{gdrive.DriveReadonlyScope}, Subject: s.Impersonate})
		if err != nil {
			return nil, fmt.Errorf("no Drive credentials: give --credentials-file, set GOOGLE_APPLICATION_CREDENTIALS or run "+
				"'gcloud auth application-default login': %w", err)
		}
		tokens = creds.TokenSource
	}
	return &oauth2.Transport{Source: tokens, Base: capped}, nil
}

// fileCredentials reads a credentials file of any kind that can be used for Drive.
func fileCredentials(ctx context.Context, key []byte, subject string) (*google.Credentials, error) {
	var kind struct{ Type google.CredentialsType }
	if err := json.Unmarshal(key, &kind); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch kind.Type {
	case google.ServiceAccount, google.AuthorizedUser, google.ExternalAccount, google.ExternalAccountAuthorizedUser,
		google.ImpersonatedServiceAccount:
	default:
		return nil, fmt.Errorf("type %q: want a service account's key, an authorized user's or an external account's file",
			kind.Type)
	}
	return google.CredentialsFromJSONWithTypeAndParams(ctx, key, kind.Type, google.CredentialsParams{
		Scopes: []string{gdrive.DriveReadonlyScope}, Subject: subject})
}

// imdsDisabled is ClientDisabled of the SDK's package imds: a store that is not AWS has no role of an instance.
const imdsDisabled = 1

// bucketName is what stores, Amazon's and others', take for one.
var bucketName = regexp.MustCompile(`^(arn:[\w:/-]+|[A-Za-z0-9][\w.-]{0,221})$`)

// sink makes the S3 side by AWS's own chain of settings and credentials.
func sink(ctx context.Context, s Settings, client *http.Client) (migrator.Sink, error) {
	if s.Bucket == "" {
		return nil, errors.New("no bucket: say where to copy to")
	}
	if !bucketName.MatchString(s.Bucket) {
		return nil, fmt.Errorf("bucket %q: want letters, digits, dots and dashes, or an access point's ARN", s.Bucket)
	}
	var opts []func(*config.LoadOptions) error
	if s.Region != "" {
		opts = append(opts, config.WithRegion(s.Region))
	}
	if s.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(s.Profile))
	}
	local, err := loopback(s.S3Endpoint)
	if err != nil {
		return nil, err
	}
	if s.S3Endpoint != "" {
		opts = append(opts, config.WithEC2IMDSClientEnableState(imdsDisabled))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("AWS settings: %w", err)
	}
	cfg.HTTPClient = client // after the chain, which wants a client of its own kind to ask for credentials
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if local && cfg.Credentials != nil {
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			cfg.Credentials = aws.AnonymousCredentials{} // a store on this machine that asks for no credentials
		}
	}
	return s3.New(s3.Options{Config: cfg, Endpoint: s.S3Endpoint, Bucket: s.Bucket,
		PathStyle: s.PathStyle || s.S3Endpoint != "", StorageClass: s.StorageClass, SSE: s.SSE}), nil
}

// loopback checks an endpoint and says whether it is on this machine.
func loopback(endpoint string) (bool, error) {
	if endpoint == "" {
		return false, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false, fmt.Errorf("s3 endpoint %q: want a URL as in https://s3.example.com", endpoint)
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(), nil
}

// Queue is a migrator.Queue with what the commands need besides.
type Queue interface {
	migrator.Queue
	migrator.Counter
	Close() error
}

// OpenQueue opens the embedded queue in dir. resumed says that it holds work of an earlier run.
func OpenQueue(dir string) (q Queue, resumed bool, err error) { return queue.Open(dir) }

// PeekQueue returns the totals of the embedded queue in dir without taking it, and whether a process has it open.
func PeekQueue(dir string) (t migrator.Totals, inUse bool, err error) { return queue.Peek(dir) }
