// Package checkout knows the repository's own files: to copy a checkout, and to pack it as a version of its module, as
// the module proxy would. It is for tests and tools.
package checkout

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Root is the directory of the main module, from any directory in it.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Git is the trimmed output of git in a directory of a checkout.
func Git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Files are the files of a checkout by their paths below root, sorted: tracked files and those that git would
// add, without the deleted ones.
func Files(ctx context.Context, root string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files in %s: %w", root, err)
	}
	var files []string
	for name := range strings.SplitSeq(string(out), "\x00") {
		if name == "" || slices.Contains(files[max(0, len(files)-1):], name) {
			continue
		}
		st, err := os.Lstat(filepath.Join(root, filepath.FromSlash(name)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if st.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return files, nil
}

// Copy copies a checkout's files into dst.
func Copy(ctx context.Context, root, dst string) error {
	files, err := Files(ctx, root)
	if err != nil {
		return err
	}
	for _, name := range files {
		from, to := filepath.Join(root, filepath.FromSlash(name)), filepath.Join(dst, filepath.FromSlash(name))
		st, err := os.Stat(from)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, b, st.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// Module is the path of the module whose go.mod is in root.
func Module(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "module "); ok {
			return strings.Trim(strings.TrimSpace(name), `"`), nil
		}
	}
	return "", fmt.Errorf("%s/go.mod names no module", root)
}

// Pack writes the main module of a checkout into dir in the layout of a module proxy (GOPROXY=file://dir) at a version
// that follows from its content: the same files give the same version. Nested modules are left out, as the go command
// leaves them out.
func Pack(ctx context.Context, root, dir string) (module, version string, err error) {
	if module, err = Module(root); err != nil {
		return "", "", err
	}
	files, err := Files(ctx, root)
	if err != nil {
		return "", "", err
	}
	files = slices.DeleteFunc(files, func(name string) bool { return nested(name, files) })
	hash := sha256.New()
	for _, name := range files {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return "", "", err
		}
		fmt.Fprintf(hash, "%s %d\n", name, len(b))
		hash.Write(b)
	}
	version = "v0.0.1-h" + hex.EncodeToString(hash.Sum(nil))[:12]
	text, err := zipped(root, module+"@"+version, files)
	if err != nil {
		return "", "", err
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", "", err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Unix(0, 0).UTC()})
	if err != nil {
		return "", "", err
	}
	at := filepath.Join(dir, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return "", "", err
	}
	for name, b := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": mod,
		version + ".zip": text} {
		if err := os.WriteFile(filepath.Join(at, name), b, 0o644); err != nil {
			return "", "", err
		}
	}
	return module, version, nil
}

// nested says that a file is part of a module of its own.
func nested(name string, files []string) bool {
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		if _, found := slices.BinarySearch(files, d+"/go.mod"); found {
			return true
		}
	}
	return false
}

func zipped(root, prefix string, files []string) ([]byte, error) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range files {
		w, err := z.Create(prefix + "/" + name)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(w, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
