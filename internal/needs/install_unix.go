//go:build unix

package needs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// installTimeout bounds an installation with all that waits for it.
const installTimeout = 8 * time.Minute

// installer installs packages; tests replace its fields.
type installer struct {
	root   bool
	aptGet string // name or path
	dir    string
	policy string
}

func install(ctx context.Context, pkg string, there func() bool) error {
	in := installer{root: os.Geteuid() == 0, aptGet: "apt-get", dir: dir(), policy: "/usr/sbin/policy-rc.d"}
	return in.install(ctx, pkg, there)
}

// errNotBrought is for a package whose program is not where it should be after apt-get has done its part: the package
// counts as installed already, and its file is hidden, or was removed by hand.
var errNotBrought = errors.New("it is installed, but its program is hidden or was removed: " +
	"apt-get install --reinstall may bring it back")

// install installs a Debian package, by one process at a time, until there says that its program is. Empty package
// lists are filled first. A failure is noted, and is the answer to all that ask within againAfter.
func (in installer) install(ctx context.Context, pkg string, there func() bool) (err error) {
	if !in.root {
		return fmt.Errorf("install the package %s (only root may)", pkg)
	}
	if _, err := exec.LookPath(in.aptGet); err != nil {
		return fmt.Errorf("install the package %s (there is no apt-get here)", pkg)
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	unlock, err := in.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if there() { // another process has installed it meanwhile
		return nil
	}
	note := filepath.Join(in.dir, pkg+".failed")
	if at, err := os.Stat(note); err == nil && time.Since(at.ModTime()) < againAfter {
		text, err := os.ReadFile(note)
		return errors.Join(errors.New(strings.TrimSpace(string(text))), err)
	}
	err = in.apt(ctx, pkg)
	if err == nil && there() {
		return nil
	}
	if err == nil {
		err = errNotBrought
	}
	err = fmt.Errorf("apt-get install %s: %w", pkg, err)
	return errors.Join(err, os.WriteFile(note, []byte(err.Error()), 0o600))
}

// apt tries the lists that are there, and fills them where that fails: they may be empty, or old.
func (in installer) apt(ctx context.Context, pkg string) error {
	allow, err := in.forbidServices()
	if err != nil {
		return err
	}
	defer allow()
	get := func(args ...string) error {
		cmd := exec.CommandContext(ctx, in.aptGet, append([]string{"-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o",
			"Acquire::Retries=1"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.WaitDelay = time.Second
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w: %s", args[0], err, lastLine(said.String()))
		}
		return nil
	}
	wanted := append([]string{"install", "--no-install-recommends"}, strings.Fields(pkg)...)
	if get(wanted...) == nil {
		return nil
	}
	if err := get("update"); err != nil {
		return err
	}
	return get(wanted...)
}

// forbidServices keeps packages from starting their own services: tests start private ones.
func (in installer) forbidServices() (allow func(), err error) {
	f, err := os.OpenFile(in.policy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() {}, nil // the machine has its own rule
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() { _ = os.Remove(in.policy) }, errors.Join(err, f.Close())
}

// lock waits until no other process installs.
func (in installer) lock() (unlock func(), err error) {
	if err := os.MkdirAll(in.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(in.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() { _ = f.Close() }, nil // which gives up the lock
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
