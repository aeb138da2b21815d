package fakedrive

import "github.com/memsoak/memsoak/fakedrive/internal/resource"

// exportFormats are what documents can be exported as, by type, as about.get tells clients.
var exportFormats = map[string][]string{
	resource.Document: {
		"application/rtf", "application/vnd.oasis.opendocument.text", "text/html", "application/pdf", "text/x-markdown",
		"text/markdown",
		"application/epub+zip", "application/zip", "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"text/plain",
	},
	resource.Spreadsheet: {
		"application/x-vnd.oasis.opendocument.spreadsheet", "text/tab-separated-values", "application/pdf",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/csv", "application/zip",
		"application/vnd.oasis.opendocument.spreadsheet",
	},
	resource.Presentation: {
		"application/vnd.oasis.opendocument.presentation", "application/pdf",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation", "text/plain",
	},
	resource.Drawing:              {"image/svg+xml", "image/png", "application/pdf", "image/jpeg"},
	resource.AppPrefix + "jam":    {"application/pdf"},
	resource.AppPrefix + "form":   {"application/zip"},
	resource.AppPrefix + "script": {"application/vnd.google-apps.script+json"},
}

// importTargets are the types of document that files of a type can be turned into.
var importTargets = map[string][]string{
	resource.Document: {
		"text/plain", "text/html", "text/rtf", "text/richtext", "text/markdown", "application/rtf", "application/pdf",
		"application/msword",
		"application/vnd.sun.xml.writer", "application/vnd.oasis.opendocument.text",
		"application/x-vnd.oasis.opendocument.text",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.template",
		"application/vnd.ms-word.document.macroenabled.12", "application/vnd.ms-word.template.macroenabled.12",
		"image/jpeg", "image/jpg", "image/pjpeg", "image/png", "image/x-png", "image/gif", "image/bmp", "image/x-bmp",
	},
	resource.Spreadsheet: {
		"text/csv", "text/tab-separated-values", "application/vnd.ms-excel", "application/vnd.oasis.opendocument.spreadsheet",
		"application/x-vnd.oasis.opendocument.spreadsheet",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.template",
		"application/vnd.ms-excel.sheet.macroenabled.12",
		"application/vnd.ms-excel.template.macroenabled.12",
	},
	resource.Presentation: {
		"application/vnd.ms-powerpoint", "application/vnd.oasis.opendocument.presentation",
		"application/x-vnd.oasis.opendocument.presentation",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation",
		"application/vnd.openxmlformats-officedocument.presentationml.template",
		"application/vnd.openxmlformats-officedocument.presentationml.slideshow",
		"application/vnd.ms-powerpoint.presentation.macroenabled.12",
		"application/vnd.ms-powerpoint.slideshow.macroenabled.12",
		"application/vnd.ms-powerpoint.template.macroenabled.12",
	},
	resource.Drawing: {"application/x-msmetafile"},
	resource.AppPrefix + "script": {"application/json", "application/vnd.google-apps.script+json",
		"application/vnd.google-apps.script+text/plain"},
}

// importFormats is importTargets the way about.get shows it.
var importFormats = func() map[string][]string {
	m := map[string][]string{}
	for target, sources := range importTargets {
		for _, mime := range sources {
			m[mime] = append(m[mime], target)
		}
	}
	return m
}()

// linkFormats are the names that export links use for MIME types.
var linkFormats = map[string]string{
	"application/rtf": "rtf", "application/vnd.oasis.opendocument.text": "odt", "text/html": "html",
	"application/pdf": "pdf",
	"text/x-markdown": "markdown", "text/markdown": "md", "application/epub+zip": "epub", "application/zip": "zip",
	"text/plain": "txt",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   "docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         "xlsx",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
	"application/x-vnd.oasis.opendocument.spreadsheet":                          "ods",
	"application/vnd.oasis.opendocument.spreadsheet":                            "ods",
	"application/vnd.oasis.opendocument.presentation":                           "odp",
	"text/tab-separated-values":                                                 "tsv",
	"text/csv":                                                                  "csv",
	"image/svg+xml":                                                             "svg",
	"image/png":                                                                 "png",
	"image/jpeg":                                                                "jpeg",
	"application/vnd.google-apps.script+json":                                   "json",
}

// linkMime finds the MIME type of a link's format among those of the document's type.
func linkMime(documentType, format string) (string, bool) {
	for _, mime := range exportFormats[documentType] {
		if linkFormats[mime] == format {
			return mime, true
		}
	}
	return "", false
}
