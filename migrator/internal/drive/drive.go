// Package drive is the migrator's source: Google Drive v3 by Google's own SDK, which neither retries nor bounds what
// it reads of an error.
package drive

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	gdrive "google.golang.org/api/drive/v3"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"

	"github.com/memsoak/memsoak/migrator"
)

// The MIME types of what isn't a file.
const (
	mimeFolder   = "application/vnd.google-apps.folder"
	mimeShortcut = "application/vnd.google-apps.shortcut"
	mimeGoogle   = "application/vnd.google-apps."
)

const entryFields = "id,name,mimeType,size,md5Checksum,modifiedTime,shortcutDetails(targetId,targetMimeType)"

// Options are the settings of a Source.
type Options struct {
	// Client sends the requests, credentials included.
	Client *http.Client
	// Endpoint is the base URL of another Drive than Google's; empty for Google's.
	Endpoint string
	DriveID  string // of a shared drive to stay in; empty for everything the user sees
	PageSize int64  // 1 to 1000
	// AcknowledgeAbuse downloads what Google holds to be malware, too.
	AcknowledgeAbuse bool
}

// Source is a migrator.Source.
type Source struct {
	files *gdrive.FilesService
	base  *url.URL // of the API, ending in a slash
	o     Options
}

// New returns a Source. It makes no request.
func New(ctx context.Context, o Options) (*Source, error) {
	opts := []option.ClientOption{option.WithHTTPClient(o.Client)}
	if o.Endpoint != "" {
		base, err := endpoint(o.Endpoint)
		if err != nil {
			return nil, err
		}
		opts = append(opts, option.WithEndpoint(base))
	}
	s, err := gdrive.NewService(ctx, opts...)
	if err != nil {
		return nil, err
	}
	at, err := url.Parse(s.BasePath)
	return &Source{files: s.Files, base: at, o: o}, err
}

// endpoint makes a base URL end in the path that the SDK wants.
func endpoint(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("drive endpoint %q: want a URL as in http://127.0.0.1:8080", base)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	if !strings.HasSuffix(u.Path, "/drive/v3") {
		u.Path += "/drive/v3"
	}
	u.Path += "/"
	return u.String(), nil
}

var escapeQuery = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// query is the search for a listing.
func query(l migrator.Listing) string {
	q := "sharedWithMe = true"
	if l.Folder != migrator.SharedWithMe {
		q = "'" + escapeQuery.Replace(l.Folder) + "' in parents"
	}
	return q + " and trashed = false"
}

// List implements migrator.Source.
func (s *Source) List(ctx context.Context, l migrator.Listing) (migrator.Page, error) {
	call := s.files.List().Context(ctx).Q(query(l)).PageSize(s.o.PageSize).
		Fields("nextPageToken", "files("+entryFields+")").
		IncludeItemsFromAllDrives(true).SupportsAllDrives(true)
	if s.o.DriveID != "" && l.Folder != migrator.SharedWithMe {
		call.Corpora("drive").DriveId(s.o.DriveID)
	}
	if l.Page != "" {
		call.PageToken(l.Page)
	}
	list, err := call.Do()
	if err != nil {
		e := wrap("list", l.Folder, err)
		if code := status(err); l.Page != "" && (code == http.StatusBadRequest || code == http.StatusGone) {
			e.Class = migrator.PageGone
		}
		return migrator.Page{}, e
	}
	p := migrator.Page{Next: list.NextPageToken, Entries: make([]migrator.Entry, len(list.Files))}
	for i, f := range list.Files {
		p.Entries[i] = entry(f)
		list.Files[i] = nil
	}
	return p, nil
}

// entry copies the few fields out of the SDK's 872 bytes.
func entry(f *gdrive.File) migrator.Entry {
	e := migrator.Entry{ID: f.Id, Name: f.Name, MIME: f.MimeType, Size: f.Size, MD5: f.Md5Checksum}
	if t, err := time.Parse(time.RFC3339, f.ModifiedTime); err == nil {
		e.Modified = t.UTC()
	}
	if f.MimeType == mimeShortcut && f.ShortcutDetails != nil {
		e.TargetID, e.MIME = f.ShortcutDetails.TargetId, f.ShortcutDetails.TargetMimeType
	}
	e.Folder = e.MIME == mimeFolder
	e.Document = !e.Folder && strings.HasPrefix(e.MIME, mimeGoogle)
	if e.Document {
		e.Size = -1
	}
	return e
}

// Stat implements migrator.Source.
func (s *Source) Stat(ctx context.Context, id string) (migrator.Entry, error) {
	f, err := s.files.Get(id).Context(ctx).SupportsAllDrives(true).Fields(entryFields + ",parents,trashed").Do()
	if err != nil {
		return migrator.Entry{}, wrap("stat", id, err)
	}
	e := entry(f)
	e.Parents, e.Trashed = f.Parents, f.Trashed
	return e, nil
}

// Open implements migrator.Source.
func (s *Source) Open(ctx context.Context, c migrator.Content, offset int64) (io.ReadCloser, error) {
	if c.Export != "" {
		resp, err := s.files.Export(c.ID, c.Export).Context(ctx).Download()
		if err != nil {
			return nil, wrap("export", c.ID, err)
		}
		return resp.Body, nil
	}
	resp, err := s.media(ctx, c.ID, offset, false)
	if err != nil && s.o.AcknowledgeAbuse && reason(err) == "cannotDownloadAbusiveFile" {
		resp, err = s.media(ctx, c.ID, offset, true)
	}
	if err != nil {
		return nil, wrap("download", c.ID, err)
	}
	if err := atOffset(resp, c, offset); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// media asks for a file's bytes. The SDK's call for it costs as much CPU as all else that a small download needs, and
// adds nothing but the URL and its own name; the client with the credentials and the errors are the SDK's.
func (s *Source) media(ctx context.Context, id string, offset int64, abuse bool) (*http.Response, error) {
	u := *s.base
	if u.Path += "files/" + id; u.RawPath != "" || strings.Contains(id, "/") {
		u.RawPath = s.base.EscapedPath() + "files/" + url.PathEscape(id)
	}
	u.RawQuery = "alt=media&prettyPrint=false&supportsAllDrives=true"
	if abuse {
		u.RawQuery += "&acknowledgeAbuse=true"
	}
	req := (&http.Request{Method: http.MethodGet, URL: &u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": userAgent}}).WithContext(ctx)
	if offset > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	resp, err := s.send(req)
	if err != nil {
		return nil, err
	}
	if err := googleapi.CheckResponse(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// send sends a request without a body. The client's own way of doing that is left to replies that it knows to follow.
func (s *Source) send(req *http.Request) (*http.Response, error) {
	if t := s.o.Client.Transport; t != nil && s.o.Client.Jar == nil && s.o.Client.Timeout == 0 {
		resp, err := t.RoundTrip(req)
		if err != nil || resp.StatusCode/100 != 3 {
			return resp, err
		}
		resp.Body.Close()
	}
	return s.o.Client.Do(req)
}

var userAgent = []string{googleapi.UserAgent}

// atOffset checks that a reply holds the file from offset on. One that begins at 0 is read and dropped up to there.
func atOffset(resp *http.Response, c migrator.Content, offset int64) error {
	bad := func(class migrator.Class, why string, format string, args ...any) error {
		return &migrator.Error{Op: "download", Object: c.ID, Reason: why, Class: class, Err: fmt.Errorf(format, args...)}
	}
	begin := int64(0)
	if resp.StatusCode == http.StatusPartialContent {
		var end int64
		var total string
		h := resp.Header.Get("Content-Range")
		if _, err := fmt.Sscanf(h, "bytes %d-%d/%s", &begin, &end, &total); err != nil {
			return bad(migrator.Transient, "badRange", "Content-Range %q makes no sense", h)
		}
		if size, err := strconv.ParseInt(total, 10, 64); err == nil && c.Size >= 0 && size != c.Size {
			return bad(migrator.BadDigest, "changed", "the file has %d bytes now, %d were listed", size, c.Size)
		}
	}
	if begin > offset {
		return bad(migrator.Transient, "badRange", "asked for offset %d, got %d", offset, begin)
	}
	if c.Size >= 0 && resp.ContentLength >= 0 && begin+resp.ContentLength != c.Size {
		return bad(migrator.BadDigest, "changed", "the file has %d bytes now, %d were listed", begin+resp.ContentLength,
			c.Size)
	}
	if _, err := io.CopyN(io.Discard, resp.Body, offset-begin); err != nil {
		return bad(migrator.Transient, "badRange", "skip to offset %d: %w", offset, err)
	}
	return nil
}
