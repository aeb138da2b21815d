// Package replace writes files whole or not at all, by way of a temporary file in the same directory: a reader never
// sees half a file, and a kill leaves the old one. It doesn't wait for the disk, so a power failure may leave the old
// file or none; logs that have to survive one are not for it.
package replace

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// File writes b to path.
func File(path string, b []byte, mode fs.FileMode) error {
	return With(path, mode, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// With writes to path what write does, for contents that don't fit into memory. Errors have the path.
func With(path string, mode fs.FileMode, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = write(f)
	if err = cmp.Or(err, f.Chmod(mode), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
