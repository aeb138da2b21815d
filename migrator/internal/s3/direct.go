package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/protocol/xml"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/memsoak/memsoak/migrator"
)

// direct sends PutObject without the SDK's stack of middleware, which costs more CPU than all else that a small file
// needs, and by signatures of its own (see signer). It copies the SDK's work instead of repeating it for each object:
// the SDK builds one request, which isn't sent, and every further one differs in its key, its headers of content and
// its signature. So endpoint, addressing, region and options are the SDK's own decisions. Where they ask for more than
// a signature of version 4 (sessions of directory buckets, multi-region access points), the SDK does it all.
type direct struct {
	send  func(*http.Request) (*http.Response, error)
	creds aws.CredentialsProvider
	skew  atomic.Int64 // nanoseconds that the store's clock is ahead, once it has complained

	mu   sync.Mutex
	like atomic.Pointer[template]
}

// template is what the SDK's request for one object says of all of them.
type template struct {
	url    url.URL // Path and RawPath end before the key
	host   string
	header http.Header
	signer *signer // nil where requests aren't signed
	usable bool
}

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	templateKey     = "key"
)

// perRequest are the headers that the SDK makes again for each request or attempt.
var perRequest = []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token", "Amz-Sdk-Invocation-Id",
	"Amz-Sdk-Request",
	"Accept-Encoding", "Content-Length", "Expect"}

func newDirect(client *s3.Client) *direct {
	o := client.Options()
	send := o.HTTPClient.Do
	if c, ok := o.HTTPClient.(*http.Client); ok && c.Transport != nil && c.Jar == nil && c.Timeout == 0 {
		send = c.Transport.RoundTrip // all that Do adds is to follow redirects, which a body that is gone can't
	}
	return &direct{send: send, creds: o.Credentials}
}

// template returns the template, and has the SDK make it when there is none.
func (d *direct) template(ctx context.Context, s *Sink) (*template, error) {
	if t := d.like.Load(); t != nil {
		return t, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.like.Load(); t != nil {
		return t, nil
	}
	rec := &recorder{}
	_, err := s.client.PutObject(ctx, s.putInput(migrator.Object{Key: templateKey}, http.NoBody), unsigned,
		func(o *s3.Options) { o.HTTPClient = rec })
	if rec.req == nil {
		return nil, err
	}
	t := newTemplate(rec.req)
	d.like.Store(t)
	return t, nil
}

// recorder is an HTTP client that keeps the request and fails.
type recorder struct{ req *http.Request }

var errRecorded = errors.New("the request isn't meant to be sent")

// Do implements aws.HTTPClient.
func (r *recorder) Do(req *http.Request) (*http.Response, error) {
	r.req = req
	return nil, errRecorded
}

func newTemplate(req *http.Request) *template {
	t := &template{url: *req.URL, host: cmp.Or(req.Host, req.URL.Host), header: req.Header.Clone()}
	path, ok := strings.CutSuffix(req.URL.EscapedPath(), templateKey)
	plain, ok2 := strings.CutSuffix(req.URL.Path, templateKey)
	t.url.Path, t.url.RawPath = plain, path
	if auth := req.Header.Get("Authorization"); auth != "" {
		t.signer = &signer{}
		t.signer.service, t.signer.region = scope(auth)
	}
	t.usable = ok && ok2 && req.Header.Get("X-Amz-S3session-Token") == "" &&
		(t.signer == nil || t.signer.region != "" && req.Header.Get("X-Amz-Content-Sha256") == unsignedPayload)
	for _, h := range perRequest {
		t.header.Del(h)
	}
	return t
}

// scope reads service and region of a signature of version 4; they are empty if it is of another kind.
func scope(auth string) (service, region string) {
	rest, ok := strings.CutPrefix(auth, algorithm+" Credential=")
	credential, _, _ := strings.Cut(rest, ",")
	f := strings.Split(credential, "/") // key id / date / region / service / aws4_request
	if n := len(f); ok && n >= 5 && f[n-1] == "aws4_request" {
		return f[n-2], f[n-3]
	}
	return "", ""
}

// request makes the request for an object.
func (t *template) request(ctx context.Context, o *migrator.Object, body io.Reader, create bool) *http.Request {
	u := t.url
	u.Path += o.Key
	u.RawPath += escape(o.Key)
	h := make(http.Header, len(t.header)+len(o.Metadata)+5)
	maps.Copy(h, t.header)
	if o.ContentType != "" {
		h["Content-Type"] = []string{o.ContentType}
	}
	if sum := base64MD5(o.MD5); sum != nil {
		h["Content-Md5"] = []string{*sum}
	}
	if create {
		h["If-None-Match"] = []string{"*"}
	}
	for k, v := range o.Metadata {
		h[metaHeader(k)] = []string{v}
	}
	req := &http.Request{Method: http.MethodPut, URL: &u, Host: t.host, Header: h, ContentLength: o.Size,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
	if o.Size > 0 {
		req.Body = io.NopCloser(body) // net/http sends what it knows to be in memory with the header in one write
	}
	return req.WithContext(ctx)
}

// metaNames are the headers of the metadata that every object has.
var metaNames = func() map[string]string {
	m := map[string]string{}
	for _, k := range []string{migrator.MetaID, migrator.MetaParent, migrator.MetaShortcut, migrator.MetaMTime,
		migrator.MetaMIME, migrator.MetaMD5} {
		m[k] = http.CanonicalHeaderKey("x-amz-meta-" + k)
	}
	return m
}()

func metaHeader(name string) string {
	if h := metaNames[name]; h != "" {
		return h
	}
	return http.CanonicalHeaderKey("x-amz-meta-" + name)
}

// put stores an object. usable is false when the SDK has to do it.
func (d *direct) put(ctx context.Context, s *Sink, o *migrator.Object, body io.Reader, create bool) (usable bool,
	err error) {
	t, err := d.template(ctx, s)
	if err != nil || !t.usable {
		return err != nil, err
	}
	req := t.request(ctx, o, body, create)
	if t.signer != nil {
		c, err := d.creds.Retrieve(ctx)
		if err != nil {
			return true, &smithy.OperationError{ServiceID: s3.ServiceID, OperationName: "PutObject",
				Err: fmt.Errorf("get credentials: %w", err)}
		}
		t.signer.sign(req, c, time.Now().Add(time.Duration(d.skew.Load())))
	}
	resp, err := d.send(req)
	if err != nil {
		return true, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return true, d.refused(resp)
	}
	_, err = io.Copy(io.Discard, resp.Body) // to its end, so that the connection is used again
	return true, err
}

// maxErrorBody is as much of an error reply as is read, in bytes.
const maxErrorBody = 64 << 10

// refused makes an error of a reply, as the SDK does.
func (d *direct) refused(resp *http.Response) error {
	c, err := xml.GetErrorResponseComponents(io.LimitReader(resp.Body, maxErrorBody), true)
	if err != nil || c.Code == "" {
		c.Code = strings.ReplaceAll(http.StatusText(resp.StatusCode), " ", "")
		if c.Code == "" {
			c.Code = "http" + strconv.Itoa(resp.StatusCode)
		}
		c.Message = http.StatusText(resp.StatusCode)
	}
	if c.Code == "RequestTimeTooSkewed" {
		if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			d.skew.Store(int64(time.Until(at)))
		}
	}
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: resp},
		Err: &smithy.GenericAPIError{Code: c.Code, Message: c.Message}}
}
