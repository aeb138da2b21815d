package resource

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAppendStringSaysWhatEncodingJSONSays(t *testing.T) {
	texts := []string{"", "a", "plain text.pdf", "12345678", strings.Repeat("long ", 99), "überlang", "🎉 👩‍👩‍👧",
		"\u2028\u2029", "bad \xff byte", "\xc3"}
	for c := range byte(0x80) { // every byte at every place of a word
		for at := range 9 {
			text := []byte("abcdefghi")
			text[at] = c
			texts = append(texts, string(text))
		}
	}
	for _, text := range texts {
		got := AppendString([]byte("x"), text)
		var back string
		require.NoError(t, json.Unmarshal(got[1:], &back), "%q", text)
		require.Equal(t, strings.ToValidUTF8(text, "\ufffd"), back)
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"b\\c\x00\x7f\xff")
	f.Fuzz(func(t *testing.T, text string) {
		var back, want string
		require.NoError(t, json.Unmarshal(AppendString(nil, text), &back))
		b, err := json.Marshal(text)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &want))
		require.Equal(t, want, back)
	})
}

func TestAppendTimeIsRFC3339WithMilliseconds(t *testing.T) {
	const layout = `"2006-01-02T15:04:05.000Z"`
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Date(1999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2024, 2, 29, 1, 2, 3, 4_000_000, time.FixedZone("", 3600)), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		require.Equal(t, at.UTC().Format(layout), string(AppendTime(nil, at)))
		require.Equal(t, strings.Trim(at.UTC().Format(layout), `"`), FormatTime(at))
	}
	require.Equal(t, `"1970-01-01T00:00:00.000Z"`, string(AppendTime(nil, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))))
}
