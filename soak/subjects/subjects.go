// Package subjects has the subject files that come with soak. Each is an example as well: copy one to measure your
// own service.
package subjects

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed *.yaml *.sh
var files embed.FS

// attachment is the value of an entry of `files` that stands for a file of this folder.
var attachment = regexp.MustCompile(`(?m)^files: \{([\w.-]+): "@([\w.-]+)"\}.*\n`)

// Names lists the subjects.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok {
			out = append(out, name)
		}
	}
	return out
}

// Get returns the subject file of a name. It needs nothing beside it: files of this folder that it names are in it.
func Get(name string) ([]byte, bool) {
	b, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, false
	}
	return attachment.ReplaceAllFunc(b, func(line []byte) []byte {
		m := attachment.FindSubmatch(line)
		text, err := files.ReadFile(string(m[2]))
		if err != nil {
			return line // the subject is refused for it, in a test
		}
		var out bytes.Buffer
		fmt.Fprintf(&out, "files:\n  %s: |\n", m[1])
		for l := range strings.Lines(string(text)) {
			if l != "\n" {
				l = "    " + l
			}
			out.WriteString(l)
		}
		return out.Bytes()
	}), true
}
