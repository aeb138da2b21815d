package fieldmask

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = `{"kind":"drive#fileList","nextPageToken":"t","files":[
	{"id":"1","name":"a","owners":[{"emailAddress":"x","displayName":"X"}],
	 "capabilities":{"canEdit":true,"canCopy":false},"properties":{"k":"v","l":"w"}},
	{"id":"2","name":"b"}]}`

func TestFilter(t *testing.T) {
	for fields, want := range map[string]string{
		"*":                           sample,
		"nextPageToken":               `{"nextPageToken":"t"}`,
		"files(id)":                   `{"files":[{"id":"1"},{"id":"2"}]}`,
		"files/id,kind":               `{"kind":"drive#fileList","files":[{"id":"1"},{"id":"2"}]}`,
		"files/id,files/name":         `{"files":[{"id":"1","name":"a"},{"id":"2","name":"b"}]}`,
		" files( id , name ) ":        `{"files":[{"id":"1","name":"a"},{"id":"2","name":"b"}]}`,
		"files(owners/emailAddress)":  `{"files":[{"owners":[{"emailAddress":"x"}]},{}]}`,
		"files(owners(displayName))":  `{"files":[{"owners":[{"displayName":"X"}]},{}]}`,
		"files(capabilities/canEdit)": `{"files":[{"capabilities":{"canEdit":true}},{}]}`,
		"files(properties(k))":        `{"files":[{"properties":{"k":"v"}},{}]}`,
		"files(owners,owners/kind)":   `{"files":[{"owners":[{"emailAddress":"x","displayName":"X"}]},{}]}`,
		"files(capabilities(*))":      `{"files":[{"capabilities":{"canEdit":true,"canCopy":false}},{}]}`,
		"files(*)":                    `{"files":` + sample[strings.Index(sample, "["):],
		"incompleteSearch":            `{}`,
	} {
		m, err := Parse(fields, "FileList")
		require.NoError(t, err, fields)
		var v any
		require.NoError(t, json.Unmarshal([]byte(sample), &v))
		got, err := json.Marshal(m.Filter(v))
		require.NoError(t, err)
		require.JSONEq(t, want, string(got), fields)
	}
}

func TestErrorsHaveAPosition(t *testing.T) {
	for fields, want := range map[string]struct {
		off   int
		field string
	}{
		"files(id,potato)":             {9, "potato"},
		"potato":                       {0, "potato"},
		"files(id":                     {5, ""},
		"files(id))":                   {9, ""},
		"files()":                      {6, ""},
		"":                             {0, ""},
		"files/":                       {6, ""},
		"kind/x":                       {4, ""},
		"files(id name)":               {5, ""},
		"files(owners/emailAddress/x)": {25, ""},
		strings.Repeat("a", MaxLen+1):  {MaxLen, ""},
	} {
		_, err := Parse(fields, "FileList")
		var e *Error
		require.ErrorAs(t, err, &e, "%.40s", fields)
		require.Equal(t, want.field, e.Field, "%.40s: %v", fields, err)
		require.Equal(t, want.off, e.Off, "%.40s: %v", fields, err)
	}
	_, err := Parse("id", "Potato")
	require.Error(t, err)
}

func TestTheNilMaskSelectsNothing(t *testing.T) {
	var m *Mask
	require.False(t, m.Has("id"))
	require.False(t, m.Whole())
	require.True(t, All.Has("id"))
	owners, err := Parse("owners", "File")
	require.NoError(t, err)
	require.Same(t, All, owners.Field("owners").Field("me"))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"*", "files(id,owners/me),nextPageToken", "files/owners(kind,me)", "files(", "a,b",
		"files(properties(x))"} {
		f.Add(s)
	}
	var v any
	if err := json.Unmarshal([]byte(sample), &v); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s, "FileList")
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Off < 0 || e.Off > len(s) {
				t.Fatalf("%q: bad error %#v", s, err)
			}
			return
		}
		out, ok := m.Filter(v).(map[string]any)
		if !ok {
			t.Fatalf("%q: the object is gone", s)
		}
		for name := range out {
			if !m.Has(name) {
				t.Fatalf("%q: %s was not selected", s, name)
			}
		}
	})
}
