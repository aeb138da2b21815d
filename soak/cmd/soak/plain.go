package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/plain"
)

// asRun makes a run of a directory of plain profiles, in a temporary directory that clean removes. A directory that is
// no such is returned as it is.
func asRun(ctx context.Context, dir string) (run string, clean func(), err error) {
	clean = func() {}
	if !isDir(dir) || recorded(dir, record.RunFile) {
		return dir, clean, nil
	}
	if runs, err := filepath.Glob(filepath.Join(dir, "*", record.RunFile)); err != nil || len(runs) > 0 {
		return dir, clean, err
	}
	files, err := profiles.ProfileFiles(dir)
	if err != nil || len(files) == 0 {
		return dir, clean, err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", clean, err
	}
	tmp, err := os.MkdirTemp("", "memsoak-plain-")
	if err != nil {
		return "", clean, err
	}
	clean = func() { os.RemoveAll(tmp) }
	name := filepath.Base(abs)
	run = filepath.Join(tmp, name)
	r, err := plain.Run(files, name, run)
	if err != nil {
		clean()
		return "", func() {}, exitcode.Usage(fmt.Errorf("%s: %w", dir, err))
	}
	err = judgeTrials(run, r)
	if err == nil {
		err = conclude(ctx, run, new(profiles.Judge))
	}
	if err != nil {
		clean()
		return "", func() {}, err
	}
	return run, clean, nil
}
