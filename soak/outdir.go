package soak

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/memsoak/memsoak/profiles/record"
)

// CheckOut says whether a new run can be recorded in dir, or with resume the one that is there be continued. A run owns
// its directory, and writes and removes by name in it: it takes a new or empty one, and none with files of others.
func CheckOut(dir string, resume bool) error {
	_, err := os.Stat(filepath.Join(dir, record.RunFile))
	switch {
	case err == nil && !resume:
		return fmt.Errorf("%w: %s has a recorded run; give another --out, or --resume to go on with it", ErrConfig, dir)
	case err == nil:
		if _, err = record.ReadRun(dir); err != nil {
			return fmt.Errorf("%w: can't go on with it: %w", ErrConfig, err)
		}
		return nil
	case resume:
		return fmt.Errorf("%w: nothing to resume: %w", ErrConfig, err)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: --out: %w", ErrConfig, err)
	case len(entries) > 0:
		return fmt.Errorf("%w: %s is no run and not empty (it has %s); give a new folder for --out", ErrConfig, dir,
			entries[0].Name())
	}
	return nil
}
