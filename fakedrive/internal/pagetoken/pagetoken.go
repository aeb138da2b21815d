// Package pagetoken makes the opaque tokens with which clients ask for the next page. A token carries where to go on,
// so that the server keeps nothing between pages; it is signed, bound to the query that it continues, and expires.
package pagetoken

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Why a token is refused.
var (
	ErrMalformed = errors.New("the page token is malformed or was not made by this server")
	ErrForeign   = errors.New("the page token belongs to another query")
	ErrExpired   = errors.New("the page token has expired")
)

// maxLen bounds what Open looks at.
const maxLen = 8 << 10

const (
	sumLen  = 16
	headLen = 16 // the query's hash and the expiry
)

// Codec makes and reads tokens. It is safe for concurrent use.
type Codec struct {
	secret []byte
	ttl    time.Duration
	now    func() time.Time
}

// New returns a Codec. Tokens of another secret are refused.
func New(secret []byte, ttl time.Duration, now func() time.Time) *Codec {
	return &Codec{secret, ttl, now}
}

// Seal makes the token that continues query at place, a value that encoding/json can carry.
func (c *Codec) Seal(query string, place any) (string, error) {
	body, err := json.Marshal(place)
	if err != nil {
		return "", fmt.Errorf("seal a page token: %w", err)
	}
	raw := make([]byte, headLen, headLen+len(body)+sumLen)
	copy(raw, queryHash(query))
	binary.BigEndian.PutUint64(raw[8:], uint64(c.now().Add(c.ttl).Unix()))
	raw = append(raw, body...)
	return "~!!~" + base64.RawURLEncoding.EncodeToString(append(raw, c.sum(raw)...)), nil
}

// Open reads a token into place. The error is one of the three above.
func (c *Codec) Open(token, query string, place any) error {
	const prefix = "~!!~"
	if len(token) > maxLen || len(token) < len(prefix) || token[:len(prefix)] != prefix ||
		strings.ContainsAny(token, "\r\n") { // which base64 reads over
		return ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token[len(prefix):])
	if err != nil || len(raw) < headLen+sumLen {
		return ErrMalformed
	}
	raw, sum := raw[:len(raw)-sumLen], raw[len(raw)-sumLen:]
	switch {
	case !hmac.Equal(sum, c.sum(raw)):
		return ErrMalformed
	case string(raw[:8]) != string(queryHash(query)):
		return ErrForeign
	case c.now().Unix() > int64(binary.BigEndian.Uint64(raw[8:])):
		return ErrExpired
	case json.Unmarshal(raw[headLen:], place) != nil:
		return ErrMalformed
	}
	return nil
}

func (c *Codec) sum(raw []byte) []byte {
	m := hmac.New(sha256.New, c.secret)
	m.Write(raw)
	return m.Sum(nil)[:sumLen]
}

func queryHash(query string) []byte {
	h := sha256.Sum256([]byte(query))
	return h[:8]
}
