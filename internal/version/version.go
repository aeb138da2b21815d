// Package version says which version a program of this project is, its own or one that lies beside it, and how to
// install another program at the same version. All of it comes from what the Go toolchain writes into a binary.
package version

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
)

// Info is what a binary says about itself.
type Info struct {
	Module   string `json:"module"`             // path of the main module
	Version  string `json:"version"`            // of the main module; "(devel)" where it isn't known
	Revision string `json:"revision,omitempty"` // commit of the checkout; none for what comes from a module cache
	Modified bool   `json:"modified,omitempty"` // the checkout had changes
	Go       string `json:"go"`
}

// devel is the version of what the toolchain knows no version of.
const devel = "(devel)"

// ErrOther is returned, wrapped, for a program of another version.
var ErrOther = errors.New("another version")

// Read is this program.
func Read() Info {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return Info{Version: devel, Go: runtime.Version()}
	}
	return from(b)
}

// File is the program in a file.
func File(path string) (Info, error) {
	b, err := buildinfo.ReadFile(path)
	if err != nil {
		return Info{}, err
	}
	return from(b), nil
}

func from(b *debug.BuildInfo) Info {
	i := Info{Module: b.Main.Path, Version: b.Main.Version, Go: b.GoVersion}
	for _, kv := range b.Settings {
		switch kv.Key {
		case "vcs.revision":
			i.Revision = kv.Value
		case "vcs.modified":
			i.Modified = kv.Value == "true"
		}
	}
	if i.Version == "" {
		i.Version = devel
	}
	return i
}

// String is the version with the revision and the toolchain: "v1.2.0 (revision 0123456789ab, with changes), go1.26.0".
func (i Info) String() string {
	s := i.Version
	if i.Revision != "" {
		s += " (revision " + i.Revision[:min(12, len(i.Revision))]
		if i.Modified {
			s += ", with changes"
		}
		s += ")"
	}
	return s + ", " + i.Go
}

// pseudo is the end of a version that the toolchain makes up for a commit without a tag.
var pseudo = regexp.MustCompile(`\d{14}-[0-9a-f]{12}$`)

// Released says that the program comes from a module cache or from the checkout of a tag: its version names its source.
func (i Info) Released() bool {
	if i.Version == devel || i.Modified {
		return false
	}
	return i.Revision == "" || !pseudo.MatchString(i.Version)
}

// programs are the main packages by the name of the program.
var programs = map[string]string{
	"soak": "soak/cmd/soak", "migrator": "migrator/cmd/migrator", "fakedrive": "fakedrive/cmd/fakedrive",
	"replay": "soak/replay", "replay-study": "soak/replay/cmd/replay-study",
}

// Ours says that a program is one of this project's.
func Ours(name string) bool { return programs[name] != "" }

// Install is the command that installs another program of the project at this program's version.
func (i Info) Install(name string) string {
	v := i.Version
	if !i.Released() {
		v = "latest"
	}
	return "go install " + path.Join(i.Module, programs[name]) + "@" + v
}

// Check refuses the program of the project in a file if it is of another version than this one. Of a program that was
// built in a checkout nothing is asked: `make build` builds all.
func (i Info) Check(file string) error {
	name := strings.TrimSuffix(filepath.Base(file), ".exe")
	if !i.Released() || !Ours(name) {
		return nil
	}
	other, err := File(file)
	if err != nil {
		return fmt.Errorf("%s: %w: it doesn't say of which version it is; %s", file, ErrOther, i.Install(name))
	}
	if other.Module == i.Module && other.Version == i.Version && other.Released() {
		return nil
	}
	return fmt.Errorf("%s: %w: it is %s, this is %s; %s", file, ErrOther, other.Version, i.Version, i.Install(name))
}

// Missing is the error for a program of the project that is nowhere.
func (i Info) Missing(name string) error {
	if i.Released() {
		return fmt.Errorf("the program %s is missing: %s", name, i.Install(name))
	}
	return fmt.Errorf("the program %s is neither beside this one nor in bin/ nor on PATH: `make build` builds it in a "+
		"checkout, %s elsewhere",
		name, i.Install(name))
}

// Beside is the path of a program in the directory of this one, whether it is there or not.
func Beside(name string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.Join(filepath.Dir(self), name), nil
}
