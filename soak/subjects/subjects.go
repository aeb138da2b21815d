// Package subjects has the subject files that come with soak. Each is an example as well: copy one to measure your
// own service.
package subjects

import (
	"embed"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names lists the subjects.
func Names() []string {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return out
}

// Get returns the subject file of a name.
func Get(name string) ([]byte, bool) {
	b, err := files.ReadFile(name + ".yaml")
	return b, err == nil
}
