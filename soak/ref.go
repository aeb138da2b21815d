package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"memsoak/soak/internal/leftover"
	"memsoak/soak/internal/subject"
)

// subject returns the plan's subject, or one built from a git revision, which is built once per run.
func (r *Runner) subject(ctx context.Context, lease *leftover.Lease, ref string) (*subject.Spec, error) {
	if ref == "" {
		return r.Plan.Subject, nil
	}
	if s, ok := r.built[ref]; ok {
		return s, nil
	}
	s, err := buildRef(ctx, r.Plan.Subject, ref, filepath.Join(lease.Temp(), fmt.Sprintf("ref-%d", len(r.built))), lease.Env())
	if err != nil {
		return nil, fmt.Errorf("build %s at %s: %w", r.Plan.Subject.Name, ref, err)
	}
	if r.built == nil {
		r.built = map[string]*subject.Spec{}
	}
	r.built[ref] = s
	return s, nil
}

// buildRef builds the subject at a revision of the repository in the working directory: in a worktree of its own, which
// is removed again, so that the user's files stay as they are. The binary stays in dir.
func buildRef(ctx context.Context, s *subject.Spec, ref, dir string, env []string) (_ *subject.Spec, err error) {
	commit, err := output(ctx, ".", env, "git", "rev-parse", "--verify", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("%w: no such revision: %w", ErrConfig, err)
	}
	tree := filepath.Join(dir, "tree")
	if _, err := output(ctx, ".", env, "git", "worktree", "add", "--detach", tree, commit); err != nil {
		return nil, err
	}
	defer func() {
		_, rerr := output(context.WithoutCancel(ctx), ".", env, "git", "worktree", "remove", "--force", tree)
		err = errors.Join(err, rerr)
	}()
	if _, err := output(ctx, tree, env, s.Build[0], s.Build[1:]...); err != nil {
		return nil, err
	}
	built := *s
	built.Command = append([]string(nil), s.Command...)
	built.Command[0] = filepath.Join(dir, filepath.Base(s.Command[0]))
	return &built, os.Rename(filepath.Join(tree, s.Command[0]), built.Command[0])
}

// output runs a command in dir and returns what it prints; of its errors the last lines.
func output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.Output()
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	said := ""
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		said = strings.TrimSpace(string(exit.Stderr))
		if len(said) > 1000 {
			said = "..." + said[len(said)-1000:]
		}
	}
	return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
}
