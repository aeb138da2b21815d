package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// archive packs the programs of a platform with licence, changes and README.
func (r *release) archive(goos, goarch string, built []string) (string, error) {
	name := fmt.Sprintf("memsoak_%s_%s_%s", r.version, goos, goarch)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	files := append(slices.Sorted(slices.Values(built)), filepath.Join(r.root, "LICENSE"), filepath.Join(r.root,
		"README.md"), filepath.Join(r.root, "CHANGELOG.md"))
	for i, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		mode := int64(0o644)
		if i < len(built) {
			mode = 0o755
		}
		h := &tar.Header{Name: name + "/" + filepath.Base(path), Mode: mode, Size: int64(len(text)), ModTime: r.at,
			Format: tar.FormatPAX}
		if err := t.WriteHeader(h); err != nil {
			return "", err
		}
		if _, err := t.Write(text); err != nil {
			return "", err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return "", err
	}
	path := filepath.Join(r.out, name+".tar.gz")
	return path, os.WriteFile(path, out.Bytes(), 0o644)
}

// checksums writes SHA256SUMS, as sha256sum --check reads it.
func (r *release) checksums(files []string) error {
	var out bytes.Buffer
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&out, "%x  %s\n", sha256.Sum256(b), filepath.Base(path))
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), out.Bytes(), 0o644)
}

// component is a module in a bill of materials.
type component struct {
	Type    string `json:"type"`
	Name    string `json:"name"`
	Version string `json:"version"`
	PURL    string `json:"purl"`
}

// bill writes the modules that the programs were built from, as the programs themselves say.
func (r *release) bill(path string, programs []string) error {
	modules := map[string]component{}
	var own component
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			return err
		}
		own = component{"application", info.Main.Path, info.Main.Version, "pkg:golang/" + info.Main.Path + "@" +
			info.Main.Version}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			modules[m.Path] = component{"library", m.Path, m.Version, "pkg:golang/" + m.Path + "@" + m.Version}
		}
		std := strings.TrimPrefix(info.GoVersion, "go")
		modules["stdlib"] = component{"library", "stdlib", std, "pkg:golang/stdlib@" + std}
	}
	all := make([]component, 0, len(modules))
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		all = append(all, modules[name])
	}
	b, err := json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata":   map[string]any{"timestamp": r.at.Format("2006-01-02T15:04:05Z"), "component": own},
		"components": all,
	}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// check looks at the programs: those for Linux need no interpreter, and those for this machine run and say the version.
func (r *release) check(ctx context.Context, programs []string) error {
	for _, p := range programs {
		platform := filepath.Base(filepath.Dir(p))
		if strings.HasPrefix(platform, "linux_") {
			if err := static(p); err != nil {
				return err
			}
		}
		if platform != runtime.GOOS+"_"+runtime.GOARCH {
			continue
		}
		out, err := exec.CommandContext(ctx, p, "version").Output()
		if err != nil {
			return fmt.Errorf("%s version: %w", p, err)
		}
		if !strings.HasPrefix(string(out), filepath.Base(p)+" ") {
			return fmt.Errorf("%s version says %q", p, out)
		}
	}
	return nil
}

// static refuses a program that the system's loader has to complete.
func static(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static", path)
		}
	}
	return nil
}
