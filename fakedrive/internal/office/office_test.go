package office

import (
	"archive/zip"
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryFormatThatIsRenderedCanBeReadAgain(t *testing.T) {
	const text = "Größe & <Farbe>\nname\tsize\nBob's \"x\"\t3\n"
	for _, mime := range []string{"text/plain", "text/html", "text/csv", "text/tab-separated-values", "application/rtf",
		"application/pdf",
		"application/zip", "application/epub+zip", "image/svg+xml",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation",
		openDocument + "text", openDocument + "spreadsheet", openDocument + "presentation"} {
		raw, err := Render([]byte(text), mime)
		require.NoError(t, err, mime)
		again, err := Render([]byte(text), mime)
		require.NoError(t, err)
		require.Equal(t, raw, again, "%s: the same text makes the same file", mime)
		if mime == "application/zip" || mime == "application/epub+zip" || mime == "image/svg+xml" {
			continue // not for import
		}
		back, err := Text(raw, mime)
		require.NoError(t, err, mime)
		words := strings.ReplaceAll(string(back), `""`, `"`)
		require.Contains(t, words, `Bob's "x"`, mime)
		require.Contains(t, words, "size", mime)
		if mime != "application/pdf" { // Latin letters alone
			require.Contains(t, words, "Größe", mime)
		}
	}
	_, err := Render([]byte(text), "image/png")
	require.ErrorIs(t, err, ErrFormat)
}

func TestTextOfOldFormats(t *testing.T) {
	wide := []byte{0, 1, 2}
	for _, c := range "wide words here" {
		wide = append(wide, byte(c), 0)
	}
	got, err := Text(append([]byte("\x00\x01\xd0\xcf narrow words here\r\x02\x03ab\x00"), wide...), "application/msword")
	require.NoError(t, err)
	require.Contains(t, string(got), "narrow words here")
	require.Contains(t, string(got), "wide words here")
	require.NotContains(t, string(got), "ab\n")
	got, err = Text([]byte(`{\rtf1{\fonttbl{\f0 Arial;}}\b bold\b0  and \{brace\}\par next}`), "application/rtf")
	require.NoError(t, err)
	require.Equal(t, "bold and {brace}\nnext", string(got))
	got, err = Text([]byte("<p>a<script>var b</script>&lt;c&gt;<br>d"), "text/html")
	require.NoError(t, err)
	require.Equal(t, "a<c>\nd", string(got))
}

func TestBombsAreRefused(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"ppt/slides/slide1.xml", "ppt/slides/slide2.xml", "ppt/slides/slide3.xml"} {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write(append([]byte("<a>"), bytes.Repeat([]byte("x"), maxText-100)...))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	require.Less(t, b.Len(), 1<<20)
	_, err := Text(b.Bytes(), "application/vnd.ms-powerpoint")
	require.Error(t, err)
	_, err = Text(bytes.Repeat([]byte("x"), maxText+1), "text/plain")
	require.True(t, errors.Is(err, errTooLong))
	_, err = Text([]byte("PK\x03\x04 no archive"), "application/vnd.ms-excel")
	require.Error(t, err)
}

func FuzzText(f *testing.F) {
	f.Add([]byte(`{\rtf1 x\par}`), "application/rtf")
	f.Add([]byte("<p>x</p>"), "text/html")
	f.Add([]byte("\xd0\xcf\x11\xe0 words"), "application/msword")
	f.Fuzz(func(t *testing.T, raw []byte, mime string) {
		text, err := Text(raw, mime)
		if err == nil && len(text) > maxText+len(raw) {
			t.Fatalf("%d bytes of text", len(text))
		}
	})
}
