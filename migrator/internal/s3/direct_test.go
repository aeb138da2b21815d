package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	minio "github.com/minio/minio-go/v7/pkg/signer"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/migrator"
)

// static provides these credentials.
func static(id, secret, session string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: session}, nil
	})
}

// keep is an HTTP client that keeps the last request with its content and says that all is well.
type keep struct {
	req    *http.Request
	body   string
	unread bool // say so without having read the content
}

func (k *keep) Do(req *http.Request) (*http.Response, error) {
	k.req = req
	if !k.unread && req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		k.body = string(b)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {`"x"`}}, Body: http.NoBody}, nil
}

// bySDK makes a sink leave everything to the SDK.
func bySDK(s *Sink) *Sink {
	s.direct.like.Store(&template{})
	return s
}

// TestDirectSendsWhatTheSDKSends compares the requests of both ways. The signature is checked by another library's.
func TestDirectSendsWhatTheSDKSends(t *testing.T) {
	keys := static("AKID", "SECRET", "TOKEN")
	for name, o := range map[string]Options{
		"aws":              {Bucket: "archive", Config: aws.Config{Region: "eu-west-1", Credentials: keys}},
		"dots need a path": {Bucket: "a.b.c", Config: aws.Config{Region: "us-east-1", Credentials: keys}},
		"path style": {Bucket: "archive", PathStyle: true, Endpoint: "https://s3.example.com:9000/base",
			Config: aws.Config{Region: "us-east-1", Credentials: keys}},
		"anonymous": {Bucket: "archive", PathStyle: true, Endpoint: "http://127.0.0.1:9000",
			Config: aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}}},
		"nobody": {Bucket: "archive", Config: aws.Config{Region: "us-east-1"}},
		"class and sse": {Bucket: "archive", StorageClass: "GLACIER_IR", SSE: "aws:kms",
			Config: aws.Config{Region: "us-east-1", Credentials: keys}},
		"access point": {Bucket: "arn:aws:s3:eu-north-1:123456789012:accesspoint/mine",
			Config: aws.Config{Region: "eu-north-1", Credentials: keys}},
		"another partition": {Bucket: "archive", Config: aws.Config{Region: "cn-north-1", Credentials: keys}},
	} {
		for _, key := range []string{"plain.txt", "2026/ä b+c&d=é?#%41~*'()!:@,;$.txt", "a//b/./c", "日本/🙂", "~id-x"} {
			for _, size := range []int64{0, 5} {
				synctest.Test(t, func(t *testing.T) {
					client := &keep{}
					o.Config.HTTPClient = client
					obj := migrator.Object{Key: key, Size: size, MD5: "5d41402abc4b2a76b9719d911017c592", ContentType: "text/plain",
						Metadata: map[string]string{migrator.MetaID: "id1", migrator.MetaMTime: "2026-01-01T00:00:00.000Z",
							"other-name": "x", "spaces": "  two  and   three "}}
					put := func(s *Sink) *http.Request {
						require.NoError(t, s.Put(t.Context(), obj, bytes.NewReader([]byte("hello")[:size]), true))
						return client.req
					}
					want, s := put(bySDK(New(o))), New(o)
					have := put(s)
					require.True(t, s.direct.like.Load().usable, name)
					assert.Equal(t, want.URL.String(), have.URL.String(), name)
					assert.Equal(t, cmp.Or(want.Host, want.URL.Host), have.Host, name)
					assert.Equal(t, want.ContentLength, have.ContentLength, name)
					assert.Equal(t, without(want.Header), without(have.Header), name)
					assert.Equal(t, "hello"[:size], client.body)
					if want.Header.Get("Authorization") == "" {
						assert.Empty(t, have.Header.Get("Authorization"))
						return
					}
					again := have.Clone(context.Background())
					again.Header.Del("Authorization")
					again.Header.Del("X-Amz-Security-Token") // signed by its name; the library sets it
					if size > 0 {
						again.Header.Set("Content-Length", strconv.FormatInt(size, 10)) // the SDK signs it, too
					}
					bySDKs := have.Clone(context.Background())
					plain := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
					require.NoError(t, v4.NewSigner(plain).SignHTTP(t.Context(),
						aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET", SessionToken: "TOKEN"}, bySDKs, unsignedPayload,
						"s3", o.Config.Region, time.Now()))
					assert.Equal(t, bySDKs.Header.Get("Authorization"), have.Header.Get("Authorization"), "%s %s", name, key)
					signed := minio.SignV4(*again, "AKID", "SECRET", "TOKEN", o.Config.Region)
					assert.Equal(t, signature(signed), signature(have), "%s %s", name, key)
				})
			}
		}
	}
}

// without drops the headers that differ between any two requests.
func without(h http.Header) http.Header {
	h = h.Clone()
	for _, k := range append(perRequest, "User-Agent") { // the latter counts the features used
		h.Del(k)
	}
	return h
}

func signature(req *http.Request) string {
	_, sum, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	return sum
}

// TestSDKKeepsWhatIsNoPlainSignature: directory buckets have sessions, multi-region access points another signature.
func TestSDKKeepsWhatIsNoPlainSignature(t *testing.T) {
	keys := static("AKID", "SECRET", "")
	client := &keep{}
	s := New(Options{Bucket: "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
		Config: aws.Config{Region: "us-east-1", Credentials: keys, HTTPClient: client}})
	require.NoError(t, s.Put(t.Context(), migrator.Object{Key: "k"}, http.NoBody, false))
	assert.False(t, s.direct.like.Load().usable)
	assert.Contains(t, client.req.Header.Get("Authorization"), "AWS4-ECDSA-P256-SHA256")
}

// TestDirectErrorsAreTheSDKs lets both ways meet the same replies.
func TestDirectErrorsAreTheSDKs(t *testing.T) {
	reply := func(code int, reason string) (int, string) {
		return code, fmt.Sprintf(`<?xml version="1.0"?><Error><Code>%s</Code><Message>no %s</Message></Error>`, reason,
			reason)
	}
	for _, c := range []func() (int, string){
		func() (int, string) { return reply(403, "AccessDenied") }, func() (int, string) {
			return reply(404, "NoSuchBucket")
		},
		func() (int, string) { return reply(503, "SlowDown") }, func() (int, string) { return reply(400, "BadDigest") },
		func() (int, string) { return reply(412, "PreconditionFailed") }, func() (int, string) {
			return reply(501, "NotImplemented")
		},
		func() (int, string) { return reply(400, "RequestTimeout") }, func() (int, string) {
			return reply(400, "EntityTooLarge")
		},
		func() (int, string) { return reply(301, "PermanentRedirect") }, func() (int, string) {
			return reply(500, "InternalError")
		},
		func() (int, string) { return 500, "" }, func() (int, string) { return 403, "" }, func() (int, string) {
			return 404,
				""
		},
		func() (int, string) { return 503, "<html>busy" }, func() (int, string) { return 502, "busy" },
		func() (int, string) { return 429, "" },
	} {
		code, body := c()
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}))
		o := Options{Bucket: "b", PathStyle: true, Endpoint: srv.URL,
			Config: aws.Config{Region: "us-east-1", Credentials: aws.AnonymousCredentials{}, HTTPClient: srv.Client()}}
		put := func(s *Sink) *migrator.Error {
			var e *migrator.Error
			require.ErrorAs(t, s.Put(t.Context(), migrator.Object{Key: "k", Size: 1}, strings.NewReader("x"), true), &e)
			return e
		}
		want, have := put(bySDK(New(o))), put(New(o))
		assert.Equal(t, want.Class, have.Class, "%d %s", code, body)
		assert.Equal(t, want.RetryAfter, have.RetryAfter, "%d %s", code, body)
		if strings.HasPrefix(body, "<?xml") {
			assert.Equal(t, want.Reason, have.Reason)
			assert.Equal(t, want.Err.Error(), have.Err.Error())
		}
		srv.Close()
	}
}

// TestAnswerBeforeTheContent: the buffer of a small file may not be used again while the transport could still read it.
func TestAnswerBeforeTheContent(t *testing.T) {
	s := New(Options{Bucket: "b", Config: aws.Config{Region: "us-east-1", HTTPClient: &keep{unread: true}}})
	err := s.Put(t.Context(), migrator.Object{Key: "k", Size: 5}, bytes.NewReader([]byte("hello")), false)
	require.Error(t, err)
	assert.Equal(t, migrator.Transient, migrator.ClassOf(err))
}

// TestClockIsCorrected: a store that complains about the clock is asked again at its own time.
func TestClockIsCorrected(t *testing.T) {
	ahead := time.Now().Add(3 * time.Hour).UTC()
	var dates []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		dates = append(dates, req.Header.Get("X-Amz-Date"))
		w.Header().Set("Date", ahead.Format(http.TimeFormat))
		if len(dates) == 1 {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>RequestTimeTooSkewed</Code></Error>")
		}
	}))
	defer srv.Close()
	s := New(Options{Bucket: "b", PathStyle: true, Endpoint: srv.URL, Config: aws.Config{Region: "us-east-1",
		Credentials: static("AKID", "SECRET", ""), HTTPClient: srv.Client()}})
	err := s.Put(t.Context(), migrator.Object{Key: "k"}, http.NoBody, false)
	assert.Equal(t, migrator.Transient, migrator.ClassOf(err))
	require.NoError(t, s.Put(t.Context(), migrator.Object{Key: "k"}, http.NoBody, false))
	at, err := time.Parse("20060102T150405Z", dates[1])
	require.NoError(t, err)
	assert.WithinDuration(t, ahead, at, 10*time.Minute)
}

// TestCredentialsAreAskedEachTime: a template doesn't outlive the credentials it was made with.
func TestCredentialsAreAskedEachTime(t *testing.T) {
	client, n := &keep{}, 0
	creds := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if n++; n > 3 {
			return aws.Credentials{}, errors.New("the session is over")
		}
		return aws.Credentials{AccessKeyID: fmt.Sprintf("AKID%d", n), SecretAccessKey: "SECRET"}, nil
	})
	s := New(Options{Bucket: "b", Config: aws.Config{Region: "us-east-1", Credentials: creds, HTTPClient: client}})
	for i := 2; i <= 3; i++ {
		require.NoError(t, s.Put(t.Context(), migrator.Object{Key: "k"}, http.NoBody, false))
		assert.Contains(t, client.req.Header.Get("Authorization"), fmt.Sprintf("Credential=AKID%d/", i))
	}
	err := s.Put(t.Context(), migrator.Object{Key: "k"}, http.NoBody, false)
	assert.ErrorContains(t, err, "the session is over")
	assert.Equal(t, migrator.ClassOf(bySDKError(t, creds)), migrator.ClassOf(err))
}

func bySDKError(t *testing.T, creds aws.CredentialsProvider) error {
	s := bySDK(New(Options{Bucket: "b", Config: aws.Config{Region: "us-east-1", Credentials: creds, HTTPClient: &keep{}}}))
	return s.Put(t.Context(), migrator.Object{Key: "k"}, http.NoBody, false)
}
