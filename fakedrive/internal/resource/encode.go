package resource

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/internal/fieldmask"
)

// Env is what the JSON of a file depends on besides the file.
type Env struct {
	Me User
	// ExportLink returns the link that exports a document as a MIME type, ContentLink the one that downloads a file.
	ExportLink  func(f *File, mime string) string
	ContentLink func(f *File) string
	// Exports are the MIME types a document of a type can be exported as.
	Exports map[string][]string
}

// Encoder writes files under one field mask. It isn't safe for concurrent use: its checksums of the file at hand are
// kept between fields.
type Encoder struct {
	env    *Env
	fields []planned
	want   corpus.Hashes
	sums   corpus.Sums
}

type planned struct {
	key   string
	value appender
	mask  *fieldmask.Mask
}

// appender appends a field's value. ok is false where the file has no such field.
type appender func(e *Encoder, b []byte, f *File, m *fieldmask.Mask) (out []byte, ok bool)

// NewEncoder compiles the mask, which is over the resource File.
func NewEncoder(m *fieldmask.Mask, env *Env) *Encoder {
	e := &Encoder{env: env}
	for _, fd := range fileFields {
		k := m.Field(fd.name)
		if k == nil {
			continue
		}
		e.fields = append(e.fields, planned{`"` + fd.name + `":`, fd.value, k})
		switch fd.name {
		case "md5Checksum":
			e.want |= corpus.MD5
		case "sha1Checksum":
			e.want |= corpus.SHA1
		case "sha256Checksum":
			e.want |= corpus.SHA256
		}
	}
	return e
}

// Append appends the file's JSON to b.
func (e *Encoder) Append(b []byte, f *File) []byte {
	if e.want != 0 && f.Content != nil {
		e.sums = f.Content.Sums(e.want)
	}
	b = append(b, '{')
	empty := true
	for i := range e.fields {
		p := &e.fields[i]
		mark := len(b)
		if !empty {
			b = append(b, ',')
		}
		b = append(b, p.key...)
		var ok bool
		if b, ok = p.value(e, b, f, p.mask); !ok {
			b = b[:mark]
			continue
		}
		empty = false
	}
	return append(b, '}')
}

func appendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// appendUser appends a user under a mask.
func appendUser(b []byte, u *User, m *fieldmask.Mask) []byte {
	b = append(b, '{')
	empty := true
	add := func(name string, value func([]byte) []byte) {
		if !m.Has(name) {
			return
		}
		if !empty {
			b = append(b, ',')
		}
		empty = false
		b = append(append(append(b, '"'), name...), '"', ':')
		b = value(b)
	}
	add("kind", func(b []byte) []byte { return append(b, `"drive#user"`...) })
	add("displayName", func(b []byte) []byte { return AppendString(b, u.Name) })
	add("me", func(b []byte) []byte { return appendBool(b, u.Me) })
	add("permissionId", func(b []byte) []byte { return AppendString(b, u.PermissionID) })
	add("emailAddress", func(b []byte) []byte { return AppendString(b, u.Email) })
	return append(b, '}')
}

// appendValue appends any value under a mask, by way of encoding/json.
func appendValue(b []byte, v any, m *fieldmask.Mask) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...) // the types given to this are plain data
	}
	return appendRaw(b, raw, m)
}

func appendRaw(b, raw []byte, m *fieldmask.Mask) []byte {
	if m.Whole() {
		return append(b, raw...)
	}
	var generic any
	if json.Unmarshal(raw, &generic) != nil {
		return append(b, "null"...)
	}
	raw, _ = json.Marshal(m.Filter(generic)) // a decoded value can be encoded
	return append(b, raw...)
}

// appendStrings appends a map of strings in the order of its keys.
func appendStrings(b []byte, kv map[string]string, m *fieldmask.Mask) []byte {
	keys := make([]string, 0, len(kv))
	for k := range kv {
		if m.Has(k) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	b = append(b, '{')
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, k)
		b = append(b, ':')
		b = AppendString(b, kv[k])
	}
	return append(b, '}')
}
