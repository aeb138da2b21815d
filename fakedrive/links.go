package fakedrive

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/memsoak/memsoak/fakedrive/internal/resource"
)

// The hosts of the real Drive, which clients reach through the proxy.
const (
	apiHost   = "www.googleapis.com"
	tokenHost = "oauth2.googleapis.com"
	docsHost  = "docs.google.com"
	driveHost = "drive.google.com"
)

// TokenURL is where the real Drive's clients get their tokens.
const TokenURL = "https://" + tokenHost + "/token"

// Hosts are the host names that clients of the real Drive talk to: what a proxy has to lead here.
func Hosts() []string {
	return []string{apiHost, tokenHost, docsHost, driveHost, "accounts.google.com", "content.googleapis.com"}
}

// env is what the JSON of files depends on in this request: links lead back to where the client came from, the real
// hosts if it believes to talk to them.
func (c *call) env() *resource.Env {
	docs, drive := "https://"+docsHost, "https://"+driveHost
	if !realHost(c.r.Host) {
		docs = origin(c.r)
		drive = docs
	}
	return &resource.Env{
		Me:      c.store.Me(),
		Exports: exportFormats,
		ExportLink: func(f *resource.File, mime string) string {
			id, format := "id="+url.QueryEscape(f.ID), "exportFormat="+linkFormats[mime]
			switch f.MimeType {
			case resource.Spreadsheet:
				return docs + "/spreadsheets/export?" + id + "&" + format
			case resource.Presentation:
				return docs + "/feeds/download/presentations/Export?" + id + "&" + format
			}
			return docs + "/feeds/download/documents/export/Export?" + id + "&" + format
		},
		ContentLink: func(f *resource.File) string { return drive + "/uc?id=" + url.QueryEscape(f.ID) + "&export=download" },
	}
}

func realHost(host string) bool {
	host, _, _ = strings.Cut(host, ":")
	return strings.HasSuffix(host, ".googleapis.com") || strings.HasSuffix(host, ".google.com")
}

// origin is the scheme and host that the client used.
func origin(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// hasKey says whether the request brings the resource key of a file.
func (c *call) hasKey(id, key string) bool {
	for pair := range strings.SplitSeq(c.r.Header.Get("X-Goog-Drive-Resource-Keys"), ",") {
		if strings.TrimSpace(pair) == id+"/"+key {
			return true
		}
	}
	return c.q.Get("resourcekey") == key
}
