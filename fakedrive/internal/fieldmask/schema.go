package fieldmask

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

//go:embed schema.json
var schemaJSON []byte

// shape is what a resource is made of: nil fields for a scalar.
type shape struct {
	ref    string
	fields map[string]*shape
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *shape) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		var name string
		err := json.Unmarshal(b, &name)
		s.ref = strings.TrimPrefix(name, "@")
		return err
	}
	return json.Unmarshal(b, &s.fields)
}

var shapes = sync.OnceValue(func() map[string]*shape {
	var m map[string]*shape
	if err := json.Unmarshal(schemaJSON, &m); err != nil {
		panic(fmt.Sprintf("fieldmask: embedded schema.json: %v", err))
	}
	return m
})

// resolve follows a reference. A nil shape is a scalar.
func (s *shape) resolve() *shape {
	for s != nil && s.ref != "" {
		s = shapes()[s.ref]
	}
	return s
}

// field returns the shape of a field. ok is false if there is no such field.
func (s *shape) field(name string) (f *shape, ok bool) {
	s = s.resolve()
	if s == nil {
		return nil, false
	}
	if f, ok = s.fields[name]; ok {
		return f, true
	}
	f, ok = s.fields["*"]
	return f, ok
}
