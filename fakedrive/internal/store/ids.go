package store

import (
	"crypto/rand"
	"encoding/base64"
)

// newID makes an id of the length and alphabet of Drive's.
func (s *Store) newID() string {
	var raw [24]byte
	rand.Read(raw[:])
	return "1" + base64.RawURLEncoding.EncodeToString(raw[:])
}
