package fault

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Guard keeps web pages and other users of the machine away from the admin protocol. A browser names the page that asks
// (Origin), and the host that it believes to talk to: a page whose name was made to lead here has another one. The zero
// Guard takes requests to addresses and to localhost, with a JSON or YAML body, from no page.
type Guard struct {
	// Hosts are names, beside localhost, by which the listener is known: those of a compose file.
	Hosts []string
	// Token is asked for by every request that changes something; "" asks for none.
	Token string
}

// NewToken makes a token that can't be guessed.
func NewToken() string { return rand.Text() }

// WithToken returns the addresses with the token in the admin URL, where HTTP clients take it from.
func (a Addresses) WithToken(token string) Addresses {
	if u, err := url.Parse(a.Admin); err == nil && token != "" {
		u.User = url.UserPassword("admin", token)
		a.Admin, a.Token = u.String(), token
	}
	return a
}

// Why an admin request is refused. The sentences say what to do.
var (
	errHost = errors.New("this host name is not known to the admin protocol; use an address, or start the fake with " +
		"--admin-host NAME")
	errPage  = errors.New("web pages may not use the admin protocol")
	errType  = errors.New("an admin request has a body of type application/json or application/yaml; set Content-Type")
	errToken = errors.New("this change needs the token of the fake's address file: use its admin URL, or Authorization: " +
		"Bearer TOKEN")
)

// Check returns the status and the reason of a refusal; nil lets the request pass.
func (g *Guard) Check(r *http.Request) (int, error) {
	change := r.Method != http.MethodGet && r.Method != http.MethodHead
	switch {
	case !g.knows(r.Host):
		return http.StatusForbidden, errHost
	case r.Header.Get("Origin") != "", slices.Contains([]string{"cross-site", "same-site"},
		r.Header.Get("Sec-Fetch-Site")):
		return http.StatusForbidden, errPage
	case change && r.ContentLength != 0 && !structured(r.Header.Get("Content-Type")):
		return http.StatusUnsupportedMediaType, errType
	case change && !g.authorized(r):
		return http.StatusUnauthorized, errToken
	}
	return 0, nil
}

// knows says whether a Host header is an address, which no page can make its own, or a known name.
func (g *Guard) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host == "" || strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(g.Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// structured says whether a content type is one that a page can't send without asking first.
func structured(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains([]string{"application/json", "application/yaml", "application/x-yaml"}, kind)
}

func (g *Guard) authorized(r *http.Request) bool {
	if g.Token == "" {
		return true
	}
	_, given, ok := r.BasicAuth()
	if !ok {
		given, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	return subtle.ConstantTimeCompare([]byte(given), []byte(g.Token)) == 1
}
