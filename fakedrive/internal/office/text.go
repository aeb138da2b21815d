package office

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxText bounds the text that is taken out of a file, and each part that is read for it: compressed parts may be
// bombs.
const maxText = 16 << 20

// errTooLong says that a file's text is beyond the bound.
var errTooLong = errors.New("the text is longer than 16 MiB")

// Text returns the words of a file of a MIME type, in UTF-8. Of a picture it is empty.
func Text(raw []byte, mime string) ([]byte, error) {
	switch {
	case strings.HasPrefix(mime, "image/"):
		return nil, nil
	case bytes.HasPrefix(raw, []byte("PK\x03\x04")):
		return zipText(raw)
	case strings.HasSuffix(mime, "rtf") || mime == "text/richtext":
		return rtfText(raw), nil
	case mime == "text/html":
		return htmlText(raw), nil
	case strings.HasPrefix(mime, "text/") || mime == "application/json" || strings.HasPrefix(mime,
		"application/vnd.google-apps.script"):
		if len(raw) > maxText {
			return nil, errTooLong
		}
		return bytes.ToValidUTF8(raw, []byte("\ufffd")), nil
	}
	return binaryText(raw), nil
}

// zipText reads the formats that are XML in an archive: OpenDocument and Office Open XML.
func zipText(raw []byte) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	var parts []*zip.File
	for _, f := range z.File {
		if textPart(f.Name) {
			parts = append(parts, f)
		}
	}
	slices.SortFunc(parts, func(a, b *zip.File) int {
		if c := len(a.Name) - len(b.Name); c != 0 { // slide2 before slide10
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	var out bytes.Buffer
	for _, f := range parts {
		if err := xmlText(&out, f); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name, err)
		}
	}
	return out.Bytes(), nil
}

func textPart(name string) bool {
	switch {
	case name == "content.xml", name == "word/document.xml", name == "xl/sharedStrings.xml":
		return true
	}
	slide, _ := path.Match("ppt/slides/slide*.xml", name) // the patterns are well formed
	return slide || isSheet(name)
}

// isSheet says whether a part is a worksheet: its cells have text of their own only inside of t; other values are
// numbers, or stand in the shared strings.
func isSheet(name string) bool {
	ok, _ := path.Match("xl/worksheets/*.xml", name)
	return ok
}

// xmlText writes the character data of a part, a line for each paragraph and row and a tab between cells.
func xmlText(out *bytes.Buffer, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	sheet, inText := isSheet(f.Name), false
	d := xml.NewDecoder(io.LimitReader(r, maxText))
	d.Strict = false
	for {
		t, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case out.Len() > maxText:
			return errTooLong
		}
		switch t := t.(type) {
		case xml.CharData:
			if sheet && !inText {
				continue
			}
			if len(bytes.TrimSpace(t)) > 0 || !bytes.ContainsAny(t, "\r\n") {
				out.Write(t)
			}
		case xml.StartElement:
			inText = t.Name.Local == "t"
			if t.Name.Local == "s" && t.Name.Space == "text" {
				out.WriteByte(' ')
			} else if t.Name.Local == "tab" {
				out.WriteByte('\t')
			}
		case xml.EndElement:
			inText = false
			switch t.Name.Local {
			case "p", "h", "table-row", "si", "row":
				out.WriteByte('\n')
			case "c":
				out.WriteByte('\t')
			case "table-cell":
				out.Truncate(len(bytes.TrimRight(out.Bytes(), "\n")))
				out.WriteByte('\t')
			}
		}
	}
}

// rtfText drops control words and groups that are not text.
func rtfText(raw []byte) []byte {
	var out bytes.Buffer
	depth, skip := 0, -1 // skip: the depth of a group without text
	for i := 0; i < len(raw) && out.Len() < maxText; {
		c := raw[i]
		switch {
		case c == '{':
			depth++
			i++
		case c == '}':
			if skip == depth {
				skip = -1
			}
			depth--
			i++
		case c == '\\' && i+1 < len(raw):
			word, arg, n := rtfWord(raw[i:])
			i += n
			switch {
			case word == "*", word == "fonttbl", word == "colortbl", word == "stylesheet", word == "info", word == "pict":
				if skip < 0 {
					skip = depth
				}
			case skip >= 0:
			case word == "par", word == "line":
				out.WriteByte('\n')
			case word == "tab":
				out.WriteByte('\t')
			case word == "u": // a character, and one that stands for it where there is no Unicode
				out.WriteRune(rune(uint16(arg)))
				i++
			case word == "\\", word == "{", word == "}":
				out.WriteString(word)
			}
		default:
			if skip < 0 && c != '\r' && c != '\n' {
				out.WriteByte(c)
			}
			i++
		}
	}
	return bytes.ToValidUTF8(out.Bytes(), []byte("\ufffd"))
}

// rtfWord reads a control word or symbol, its argument, and its length with the space that ends it.
func rtfWord(b []byte) (word string, arg, n int) {
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	n = 1
	for n < len(b) && letter(b[n]) {
		n++
	}
	if n == 1 {
		return string(b[1:2]), 0, 2
	}
	word = string(b[1:n])
	start := n
	for n < len(b) && n < start+7 && (b[n] >= '0' && b[n] <= '9' || b[n] == '-') {
		n++
	}
	arg, _ = strconv.Atoi(string(b[start:n])) // without a number it is 0
	if n < len(b) && b[n] == ' ' {
		n++
	}
	return word, arg, n
}

// htmlText drops tags, scripts and styles.
func htmlText(raw []byte) []byte {
	var out bytes.Buffer
	rest := raw
	for len(rest) > 0 && out.Len() < maxText {
		i := bytes.IndexByte(rest, '<')
		if i < 0 {
			out.Write(rest)
			break
		}
		out.Write(rest[:i])
		rest = rest[i:]
		lower := bytes.ToLower(rest[:min(len(rest), 10)])
		end := []byte(">")
		for _, tag := range []string{"script", "style"} {
			if bytes.HasPrefix(lower, []byte("<"+tag)) {
				end = []byte("</" + tag + ">")
			}
		}
		if bytes.HasPrefix(lower, []byte("<br")) || bytes.HasPrefix(lower, []byte("</p")) || bytes.HasPrefix(lower,
			[]byte("</h")) {
			out.WriteByte('\n')
		}
		j := bytes.Index(rest, end)
		if j < 0 {
			break
		}
		rest = rest[j+len(end):]
	}
	return bytes.ToValidUTF8([]byte(html.UnescapeString(out.String())), []byte("\ufffd"))
}

// minRun is the length from which a run of readable characters in a binary file counts as text.
const minRun = 6

// binaryText finds the runs of readable characters of a binary file: in one byte each (as Word stores Western text),
// or in two.
func binaryText(raw []byte) []byte {
	var out bytes.Buffer
	for i := 0; i < len(raw) && out.Len() < maxText; {
		n := 0
		for i+n < len(raw) && readable(uint16(raw[i+n])) {
			n++
		}
		if n >= minRun {
			writeRun(&out, raw[i:i+n])
			i += n
			continue
		}
		wide := 0
		for i+2*wide+1 < len(raw) && readable(uint16(raw[i+2*wide])|uint16(raw[i+2*wide+1])<<8) {
			wide++
		}
		if wide >= minRun {
			units := make([]uint16, wide)
			for k := range units {
				units[k] = uint16(raw[i+2*k]) | uint16(raw[i+2*k+1])<<8
			}
			writeRun(&out, []byte(string(utf16.Decode(units))))
			i += 2 * wide
			continue
		}
		i += max(n, 1)
	}
	return bytes.ToValidUTF8(out.Bytes(), nil)
}

func readable(u uint16) bool {
	return u >= 0x20 && u < 0x7f || u == '\r' || u == '\n' || u == '\t' || u >= 0xc0 && u <= 0x24f
}

func writeRun(out *bytes.Buffer, run []byte) {
	out.Write(bytes.ReplaceAll(run, []byte{'\r'}, []byte{'\n'}))
	out.WriteByte('\n')
}
