package copier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// PageSize is the number of entries asked for per page. It is small, since each level of the tree holds one page.
const PageSize = 100

// maxPage bounds the bytes of a page.
const maxPage = 1 << 20

const folderType = "application/vnd.google-apps.folder"

// Client speaks to the Drive and to the sink over one transport. It is safe for concurrent use.
type Client struct {
	Transport *http.Transport
	HTTP      *http.Client
	drive     string // ends in /drive/v3
	sink      string // ends in /bucket
}

// Page is one page of a listing.
type Page struct {
	Raw     []byte // the JSON as it came; valid during the call only
	Files   []File
	Folders []string
}

func newClient(cfg Config) (*Client, error) {
	for _, u := range []string{cfg.Drive, cfg.S3} {
		if p, err := url.Parse(u); err != nil || p.Host == "" {
			return nil, fmt.Errorf("endpoint %q is not a URL with a host", u)
		}
	}
	if cfg.Bucket == "" {
		return nil, fmt.Errorf("a bucket is needed")
	}
	t := &http.Transport{
		MaxIdleConns:        cfg.MaxIdle,
		MaxIdleConnsPerHost: cfg.MaxIdlePerHost,
		DisableCompression:  true,
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", cfg.CAFile)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	drive := strings.TrimSuffix(cfg.Drive, "/")
	if !strings.HasSuffix(drive, "/drive/v3") {
		drive += "/drive/v3"
	}
	return &Client{
		Transport: t,
		HTTP:      &http.Client{Transport: t},
		drive:     drive,
		sink:      strings.TrimSuffix(cfg.S3, "/") + "/" + url.PathEscape(cfg.Bucket),
	}, nil
}

// MediaURL is where a file's content is.
func (c *Client) MediaURL(f File) string {
	return c.drive + "/files/" + url.PathEscape(f.ID) + "?alt=media&supportsAllDrives=true"
}

// MetadataURL is where a file's metadata is.
func (c *Client) MetadataURL(f File) string {
	return c.drive + "/files/" + url.PathEscape(f.ID) + "?fields=id,name,size,md5Checksum,mimeType"
}

// ObjectURL is where an object of the sink is.
func (c *Client) ObjectURL(key string) string {
	return c.sink + "/" + (&url.URL{Path: key}).EscapedPath()
}

// List calls yield with each page of a folder, in order. One read buffer serves all pages of a folder.
func (c *Client) List(ctx context.Context, folder string, yield func(*Page) error) error {
	var raw []byte
	q := url.Values{
		"q":        {"'" + folder + "' in parents and trashed=false"},
		"pageSize": {strconv.Itoa(PageSize)},
		"fields":   {"nextPageToken,files(id,name,mimeType,size)"},

		"supportsAllDrives":         {"true"},
		"includeItemsFromAllDrives": {"true"},
	}
	for {
		var err error
		raw, err = c.get(ctx, c.drive+"/files?"+q.Encode(), raw[:0])
		if err != nil {
			return fmt.Errorf("list %s: %w", folder, err)
		}
		p, next, err := decodePage(raw)
		if err != nil {
			return fmt.Errorf("list %s: %w", folder, err)
		}
		if err := yield(p); err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		q.Set("pageToken", next)
	}
}

func decodePage(raw []byte) (*Page, string, error) {
	var v struct {
		NextPageToken string
		Files         []struct {
			ID, Name, MimeType string
			Size               int64 `json:",string"`
		}
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, "", err
	}
	p := &Page{Raw: raw}
	for _, f := range v.Files {
		switch {
		case f.MimeType == folderType:
			p.Folders = append(p.Folders, f.ID)
		case !strings.HasPrefix(f.MimeType, "application/vnd.google-apps."):
			p.Files = append(p.Files, File{ID: f.ID, Name: f.Name, Size: f.Size})
		}
	}
	return p, v.NextPageToken, nil
}

// get appends the answer of a GET to buf.
func (c *Client) get(ctx context.Context, u string, buf []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp)
	}
	body := io.LimitReader(resp.Body, maxPage+1)
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, make([]byte, 16<<10)...)[:len(buf)]
		}
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > maxPage:
			return nil, fmt.Errorf("page is larger than %d bytes", maxPage)
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		}
	}
}

// Download opens a file's content. The caller closes it.
func (c *Client) Download(ctx context.Context, f File) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.MediaURL(f), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, statusError(resp)
	}
	return resp.Body, nil
}

// Upload stores size bytes of body under key in one PUT.
func (c *Client) Upload(ctx context.Context, key string, body io.Reader, size int64) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, c.ObjectURL(key), io.NopCloser(body))
	if err != nil {
		return err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return statusError(resp)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxPage))
	return err
}

func statusError(resp *http.Response) error {
	msg, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	return fmt.Errorf("%s %s: %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status,
		strings.TrimSpace(string(msg)))
}
