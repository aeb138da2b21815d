package fakedrive

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// tokenPrefix marks access tokens of this server; it is the prefix of Google's.
const tokenPrefix = "ya29.fake-"

// The grants that the token endpoint takes.
const (
	grantRefresh = "refresh_token"
	grantCode    = "authorization_code"
	grantJWT     = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// tokens issues and checks access tokens. They carry their own expiry, so that nothing is kept.
type tokens struct {
	secret []byte
	ttl    time.Duration
	now    func() time.Time
	epoch  atomic.Uint32 // tokens of an earlier one are revoked
	key    func() (*rsa.PrivateKey, error)
}

func newTokens(secret []byte, ttl time.Duration, now func() time.Time) *tokens {
	return &tokens{secret: secret, ttl: ttl, now: now, key: sync.OnceValues(func() (*rsa.PrivateKey, error) {
		return rsa.GenerateKey(rand.Reader, 2048)
	})}
}

func (t *tokens) issue() string {
	raw := make([]byte, 12, 12+sha256.Size)
	binary.BigEndian.PutUint64(raw, uint64(t.now().Add(t.ttl).UnixNano()))
	binary.BigEndian.PutUint32(raw[8:], t.epoch.Load())
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(raw, t.sum(raw)...))
}

// valid says whether a token counts. Tokens of other issuers do: a client may bring a static one.
func (t *tokens) valid(token string) bool {
	own, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return token != ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(own)
	if err != nil || len(raw) != 12+sha256.Size {
		return false
	}
	return hmac.Equal(raw[12:], t.sum(raw[:12])) &&
		t.now().UnixNano() < int64(binary.BigEndian.Uint64(raw)) &&
		binary.BigEndian.Uint32(raw[8:]) == t.epoch.Load()
}

func (t *tokens) sum(raw []byte) []byte {
	m := hmac.New(sha256.New, t.secret)
	m.Write([]byte("access token"))
	m.Write(raw)
	return m.Sum(nil)
}

// authorize checks the request's token.
func (c *call) authorize() error {
	token, bearer := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	for _, name := range []string{"access_token", "oauth_token"} {
		if !bearer && c.q.Get(name) != "" {
			token, bearer = c.q.Get(name), true
		}
	}
	switch {
	case bearer && !c.tokens.valid(strings.TrimSpace(token)), c.r.Header.Get("Authorization") != "" && !bearer:
		return errUnauthorized()
	case !bearer && c.cfg.RequireAuth:
		e := errUnauthorized()
		e.reason, e.message = "required", "Login Required"
		return e
	}
	return nil
}

// oauthError is an error of the token endpoint, which has a form of its own.
type oauthError struct {
	status      int
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

// serveToken is the token endpoint.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	c := &call{Server: s, w: w, r: r, op: OpToken, q: r.URL.Query()}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	reply, err := s.grant(r)
	if err == nil {
		err = c.admit(fault.Request{Name: r.PostForm.Get("grant_type")})
	}
	var e *oauthError
	switch {
	case errors.As(err, &e):
		body, _ := json.MarshalIndent(e, "", "  ") // two strings always encode
		c.write(e.status, append(body, '\n'))
	case err != nil:
		c.fail(err)
	default:
		body, _ := json.Marshal(reply) // strings and numbers always encode
		c.fail(c.reply(body))
	}
}

// grant checks a request for a token and returns what it gets.
func (s *Server) grant(r *http.Request) (map[string]any, error) {
	bad := func(code, why string) error { return &oauthError{http.StatusBadRequest, code, why} }
	if err := r.ParseForm(); err != nil {
		return nil, bad("invalid_request", "The form cannot be read.")
	}
	form := r.PostForm
	id, _, basic := r.BasicAuth()
	if !basic {
		id = form.Get("client_id")
	}
	reply := map[string]any{"token_type": "Bearer", "expires_in": int(s.cfg.TokenTTL / time.Second), "scope": driveScope}
	switch grant := form.Get("grant_type"); grant {
	case grantRefresh, grantCode:
		secret := map[string]string{grantRefresh: "refresh_token", grantCode: "code"}[grant]
		switch {
		case id == "":
			return nil, bad("invalid_request", "Could not determine client ID from request.")
		case form.Get(secret) == "":
			return nil, bad("invalid_request", "Missing required parameter: "+secret)
		case form.Get(secret) == RevokedRefreshToken:
			return nil, bad("invalid_grant", "Token has been expired or revoked.")
		case grant == grantCode:
			reply["refresh_token"] = "1//fake-refresh-token"
		}
	case grantJWT:
		if why := s.tokens.refuse(form.Get("assertion")); why != "" {
			return nil, bad("invalid_grant", why)
		}
	case "":
		return nil, bad("invalid_request", "Missing required parameter: grant_type")
	default:
		return nil, bad("unsupported_grant_type", "Invalid grant_type: "+grant)
	}
	reply["access_token"] = s.tokens.issue()
	return reply, nil
}

const driveScope = "https://www.googleapis.com/auth/drive"

// RevokedRefreshToken is a refresh token that the token endpoint refuses as revoked.
const RevokedRefreshToken = "1//revoked"

// ServiceAccountEmail is the account of the key that ServiceAccountKey makes.
const ServiceAccountEmail = "soak@fakedrive.iam.gserviceaccount.com"

// refuse says in Google's words why a service account's assertion does not count; "" if it does. The signature is
// checked for the account of this server's own key; others are taken at their word.
func (t *tokens) refuse(jwt string) string {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return "Invalid JWT: the assertion has not three parts."
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(strings.TrimRight(p, "=")); err != nil {
			return "Invalid JWT: the assertion is not base64url."
		}
	}
	var head struct{ Alg string }
	var claims struct {
		Iss, Scope string
		Iat, Exp   int64
	}
	if json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil {
		return "Invalid JWT: the assertion is not JSON."
	}
	now := t.now().Unix()
	switch {
	case head.Alg != "RS256":
		return "Invalid JWT: the algorithm must be RS256."
	case claims.Iss == "":
		return "Invalid JWT: the issuer is missing."
	case claims.Scope == "":
		return "Invalid JWT: the scope is missing."
	case claims.Exp < now || claims.Iat > now+300 || claims.Exp-claims.Iat > 3600+300:
		return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat " +
			"and exp values in the JWT claim."
	}
	if claims.Iss != ServiceAccountEmail {
		return ""
	}
	key, err := t.key()
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], raw[2]) != nil {
		return "Invalid JWT Signature."
	}
	return ""
}

// ServiceAccountKey returns the JSON of a service account's key, as the cloud console would hand it out, that the
// token endpoint at tokenURI accepts.
func (s *Server) ServiceAccountKey(tokenURI string) ([]byte, error) {
	key, err := s.tokens.key()
	if err != nil {
		return nil, fmt.Errorf("make a service account's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a service account's key: %w", err)
	}
	return json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": "fakedrive", "private_key_id": "fakedrive-1",
		"private_key":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": ServiceAccountEmail, "client_id": "100000000000000000001",
		"auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": tokenURI,
		"universe_domain": "googleapis.com",
	}, "", "  ")
}
