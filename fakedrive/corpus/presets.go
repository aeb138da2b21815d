package corpus

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/bounded"
)

// presets are specs, one a file, whose first line says in a comment what the tree is for.
//
//go:embed presets/*.yaml
var presets embed.FS

// Presets returns the names of the presets in alphabetical order.
func Presets() []string {
	files, err := presets.ReadDir("presets")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = strings.TrimSuffix(f.Name(), ".yaml")
	}
	return names
}

// PresetText returns the YAML of a preset, ready to be copied and changed.
func PresetText(name string) ([]byte, error) {
	text, err := presets.ReadFile(path.Join("presets", name+".yaml"))
	if err != nil || strings.Contains(name, "/") {
		return nil, fmt.Errorf("no corpus named %q; there are %s", name, strings.Join(Presets(), ", "))
	}
	return text, nil
}

// Preset returns the spec of a preset.
func Preset(name string) (*Spec, error) {
	text, err := PresetText(name)
	if err != nil {
		return nil, err
	}
	spec, err := ParseSpec(text)
	if err != nil {
		return nil, fmt.Errorf("preset %s: %w", name, err)
	}
	spec.Name = name
	return spec, nil
}

// Load returns the spec of a preset or, if there is none of that name, the spec in a file.
func Load(nameOrFile string) (*Spec, error) {
	if slices.Contains(Presets(), nameOrFile) {
		return Preset(nameOrFile)
	}
	text, err := bounded.ReadFile(nameOrFile, bounded.Corpus)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no corpus and no file named %q; the corpora are %s", nameOrFile, strings.Join(Presets(),
			", "))
	}
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	spec, err := ParseSpec(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", nameOrFile, err)
	}
	if spec.Name == "" {
		spec.Name = strings.TrimSuffix(filepath.Base(nameOrFile), filepath.Ext(nameOrFile))
	}
	return spec, nil
}
