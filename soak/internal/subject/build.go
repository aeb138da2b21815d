package subject

import (
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Describe reads from the binary at path what it says about itself: module, version, Go and build id. What can't be
// read stays empty.
func Describe(name, path string) record.Subject {
	s := record.Subject{Name: name}
	if info, err := buildinfo.ReadFile(path); err == nil {
		s.Module, s.Go, s.Version = info.Main.Path, info.GoVersion, info.Main.Version
		for _, kv := range info.Settings {
			if kv.Key == "vcs.revision" {
				s.Version = kv.Value
			}
		}
	}
	s.BuildID = buildID(path)
	return s
}

// buildID reads Go's build id from the ELF note.
func buildID(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	sec := f.Section(".note.go.buildid")
	if sec == nil {
		return ""
	}
	b, err := sec.Data()
	const header = 16 // name size, description size, type, "Go\0\0"
	if err != nil || len(b) < header {
		return ""
	}
	return strings.TrimRight(string(b[header:]), "\x00")
}

// Describe adds to what the binary says the command line as started and the subject file's module.
func (p *Process) Describe() record.Subject {
	s := Describe(p.Spec.Name, p.binary())
	s.Command = p.Command
	if p.Spec.Module != "" {
		s.Module = p.Spec.Module
	}
	return s
}

// binary is the path of the program, which the cgroup's wrapper may have moved into the arguments.
func (p *Process) binary() string {
	if p.cmd == nil {
		return fmt.Sprintf("/proc/%d/exe", p.PID())
	}
	path, err := Executable(p.Command[0])
	if err != nil {
		return p.Command[0]
	}
	return path
}
