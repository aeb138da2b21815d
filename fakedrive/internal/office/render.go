package office

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"strings"
)

// ErrFormat says that there is no file of a MIME type to be made of text.
var ErrFormat = errors.New("no such export format")

// Render makes a file of a MIME type with the text in it. The same text always makes the same file.
func Render(text []byte, mime string) ([]byte, error) {
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	switch mime {
	case "text/plain", "text/markdown", "text/x-markdown", "application/vnd.google-apps.script+json":
		return text, nil
	case "text/html":
		return []byte(htmlPage(lines)), nil
	case "text/csv":
		return table(lines, ',')
	case "text/tab-separated-values":
		return table(lines, '\t')
	case "application/rtf":
		return rtf(lines), nil
	case "application/pdf":
		return pdf(lines), nil
	case "application/zip":
		return archive("", part{"index.html", htmlPage(lines)})
	case "image/svg+xml":
		return []byte(`<svg xmlns="http://www.w3.org/2000/svg"><text>` + html.EscapeString(string(text)) + "</text></svg>\n"),
			nil
	}
	if make, ok := packages[mime]; ok {
		return make(lines)
	}
	return nil, fmt.Errorf("%s: %w", mime, ErrFormat)
}

const openDocument = "application/vnd.oasis.opendocument."

// packages make the formats that are archives of XML.
var packages = map[string]func(lines []string) ([]byte, error){
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   docx,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         xlsx,
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": pptx,
	openDocument + "text": func(l []string) ([]byte, error) {
		return odf(openDocument+"text",
			"text", paragraphs(l))
	},
	openDocument + "spreadsheet":                       ods,
	"application/x-vnd.oasis.opendocument.spreadsheet": ods,
	openDocument + "presentation": func(l []string) ([]byte, error) {
		return odf(openDocument+"presentation", "presentation",
			`<draw:page><draw:frame><draw:text-box>`+paragraphs(l)+`</draw:text-box></draw:frame></draw:page>`)
	},
	"application/epub+zip": func(l []string) ([]byte, error) {
		return archive("application/epub+zip",
			part{"META-INF/container.xml",
				xmlHead + `<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>` +
					`<rootfile full-path="content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`},
			part{"content.opf", xmlHead + `<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><manifest>` +
				`<item id="t" href="text.html" media-type="application/xhtml+xml"/></manifest>` +
				`<spine><itemref idref="t"/></spine></package>`},
			part{"text.html", htmlPage(l)})
	},
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>`

type part struct{ name, text string }

// archive makes a zip. Formats that want it have their type as the first entry, stored.
func archive(mimetype string, parts ...part) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if mimetype != "" {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "mimetype", Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(mimetype)); err != nil {
			return nil, err
		}
	}
	for _, p := range parts {
		w, err := z.Create(p.name)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(p.text)); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

// join wraps each line between two strings, escaped for XML.
func join(lines []string, before, after string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(before)
		b.WriteString(escape(l))
		b.WriteString(after)
	}
	return b.String()
}

func htmlPage(lines []string) string {
	return `<html><head><meta content="text/html; charset=UTF-8" http-equiv="content-type"></head><body>` + join(lines,
		"<p>", "</p>") + "</body></html>"
}

func paragraphs(lines []string) string { return join(lines, "<text:p>", "</text:p>") }

// table writes lines whose cells are separated by tabs.
func table(lines []string, comma rune) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = comma
	for _, l := range lines {
		if err := w.Write(cells(l)); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func cells(line string) []string { return strings.Split(strings.TrimRight(line, "\t"), "\t") }

func rtf(lines []string) []byte {
	var b bytes.Buffer
	b.WriteString(`{\rtf1\ansi\deff0`)
	for _, l := range lines {
		for _, r := range l {
			switch {
			case r == '\\' || r == '{' || r == '}':
				b.WriteByte('\\')
				b.WriteRune(r)
			case r < 0x80:
				b.WriteRune(r)
			default:
				fmt.Fprintf(&b, `\u%d?`, int16(r))
			}
		}
		b.WriteString(`\par `)
	}
	b.WriteString("}")
	return b.Bytes()
}

// pdf writes one page, in Latin letters.
func pdf(lines []string) []byte {
	var text bytes.Buffer
	text.WriteString("BT /F1 10 Tf 40 800 Td 12 TL\n")
	for _, l := range lines {
		text.WriteByte('(')
		for _, r := range l {
			if r == '(' || r == ')' || r == '\\' {
				text.WriteByte('\\')
			}
			if r < 0x20 || r > 0x7e {
				r = '?'
			}
			text.WriteRune(r)
		}
		text.WriteString(") Tj T*\n")
	}
	text.WriteString("ET")
	objects := []string{
		"<</Type/Catalog/Pages 2 0 R>>",
		"<</Type/Pages/Kids[3 0 R]/Count 1>>",
		"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>stream\n%s\nendstream", text.Len(), text.String()),
		"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj%s endobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, off := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", off)
	}
	fmt.Fprintf(&b, "trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

func odf(mimetype, kind, body string) ([]byte, error) {
	const ns = `urn:oasis:names:tc:opendocument:xmlns:`
	return archive(mimetype,
		part{"content.xml", xmlHead + `<office:document-content xmlns:office="` + ns + `office:1.0" xmlns:text="` + ns +
			`text:1.0" xmlns:table="` + ns +
			`table:1.0" xmlns:draw="` + ns + `drawing:1.0" office:version="1.2"><office:body><office:` + kind + `>` + body +
			`</office:` + kind + `></office:body></office:document-content>`},
		part{"META-INF/manifest.xml", xmlHead + `<manifest:manifest xmlns:manifest="` + ns +
			`manifest:1.0"><manifest:file-entry manifest:full-path="/" ` +
			`manifest:media-type="` + mimetype +
			`"/><manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>`})
}

func ods(lines []string) ([]byte, error) {
	var b strings.Builder
	b.WriteString(`<table:table table:name="Sheet1">`)
	for _, l := range lines {
		b.WriteString("<table:table-row>" + join(cells(l), "<table:table-cell><text:p>", "</text:p></table:table-cell>") +
			"</table:table-row>")
	}
	b.WriteString("</table:table>")
	return odf(openDocument+"spreadsheet", "spreadsheet", b.String())
}

// ooxml makes an Office Open XML package of a main part.
func ooxml(main, contentType, text string, more ...part) ([]byte, error) {
	const rels = "http://schemas.openxmlformats.org/package/2006/relationships"
	const office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
	types := xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
		`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
		`<Default Extension="xml" ContentType="application/xml"/>` +
		`<Override PartName="/` + main + `" ContentType="` + contentType + `"/></Types>`
	return archive("", append([]part{
		{"[Content_Types].xml", types},
		{"_rels/.rels", xmlHead + `<Relationships xmlns="` + rels + `"><Relationship Id="rId1" Type="` + office +
			`" Target="` + main + `"/></Relationships>`},
		{main, xmlHead + text},
	}, more...)...)
}

func docx(lines []string) ([]byte, error) {
	return ooxml("word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
		`<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>`+
			join(lines, `<w:p><w:r><w:t xml:space="preserve">`, "</w:t></w:r></w:p>")+"</w:body></w:document>")
}

func xlsx(lines []string) ([]byte, error) {
	const ns = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"`
	var rows strings.Builder
	for _, l := range lines {
		rows.WriteString("<row>" + join(cells(l), `<c t="inlineStr"><is><t>`, "</t></is></c>") + "</row>")
	}
	return ooxml("xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
		`<workbook `+ns+` xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">`+
			`<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`,
		part{"xl/_rels/workbook.xml.rels",
			xmlHead + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
				`<Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" ` +
				`Target="worksheets/sheet1.xml"/></Relationships>`},
		part{"xl/worksheets/sheet1.xml", xmlHead + `<worksheet ` + ns + `><sheetData>` + rows.String() +
			`</sheetData></worksheet>`})
}

func pptx(lines []string) ([]byte, error) {
	const ns = `xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" ` +
		`xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"`
	return ooxml("ppt/presentation.xml",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml",
		`<p:presentation `+ns+`/>`,
		part{"ppt/slides/slide1.xml", xmlHead + `<p:sld ` + ns + `><p:cSld><p:spTree><p:sp><p:txBody>` +
			join(lines, "<a:p><a:r><a:t>", "</a:t></a:r></a:p>") + `</p:txBody></p:sp></p:spTree></p:cSld></p:sld>`})
}
