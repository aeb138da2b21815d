package soak

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/soak/internal/leftover"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// subject returns the plan's subject, or one built from a git revision, which is built once per run.
func (r *Runner) subject(ctx context.Context, lease *leftover.Lease, ref string) (*subject.Spec, error) {
	if ref == "" {
		return r.Plan.Subject, nil
	}
	r.build.Lock()
	defer r.build.Unlock()
	if s, ok := r.built[ref]; ok {
		return s, nil
	}
	s, err := buildRef(ctx, r.Plan.Subject, ref, filepath.Join(lease.Temp(), fmt.Sprintf("ref-%d", len(r.built))),
		lease.Env())
	if err != nil {
		return nil, fmt.Errorf("build %s at %s: %w", r.Plan.Subject.Name, ref, err)
	}
	if r.built == nil {
		r.built = map[string]*subject.Spec{}
	}
	r.built[ref] = s
	return s, nil
}

// ErrBuild is returned, wrapped with the compiler's words, for a revision at which the subject doesn't build.
var ErrBuild = errors.New("the subject doesn't build")

// buildRef builds the subject at a revision of the repository in the working directory: in a worktree of its own, which
// is removed again, so that the user's files stay as they are. The binary stays in dir.
func buildRef(ctx context.Context, s *subject.Spec, ref, dir string, env []string) (_ *subject.Spec, err error) {
	commit, err := resolve(ctx, ref, env)
	if err != nil {
		return nil, err
	}
	below, err := git(ctx, env, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, "tree")
	if _, err := git(ctx, env, "worktree", "add", "--detach", tree, commit); err != nil {
		return nil, err
	}
	defer func() {
		_, rerr := git(context.WithoutCancel(ctx), env, "worktree", "remove", "--force", tree)
		err = errors.Join(err, rerr)
	}()
	at := filepath.Join(tree, filepath.FromSlash(below))
	if _, err := os.Stat(at); err != nil {
		return nil, fmt.Errorf("%w: the revision has no folder %s", ErrBuild, below)
	}
	if _, err := outputWith(ctx, at, append(s.BuildEnv(), env...), s.Build[0], s.Build[1:]...); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", ErrBuild, err)
	}
	built := *s
	built.Command = slices.Clone(s.Command)
	built.Command[0] = filepath.Join(dir, filepath.Base(s.Command[0]))
	if err := os.Rename(filepath.Join(at, builtAt(s)), built.Command[0]); err != nil {
		return nil, fmt.Errorf("%w: `build` left no %s: %w", ErrBuild, builtAt(s), err)
	}
	return &built, nil
}

// resolve is the commit of a revision of the repository in the working directory.
func resolve(ctx context.Context, ref string, env []string) (string, error) {
	commit, err := git(ctx, env, "rev-parse", "--verify", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return "", fmt.Errorf("%w: no such revision: %w", ErrConfig, err)
	}
	return commit, nil
}

// checkRefs looks for the revisions that the plan asks for, so that a slip is reported before anything is recorded.
func (r *Runner) checkRefs() error {
	seen := map[string]bool{"": true}
	for _, s := range r.Plan.Trials {
		ref := s.Settings["subject_ref"]
		if seen[ref] {
			continue
		}
		seen[ref] = true
		if _, err := resolve(context.Background(), ref, nil); err != nil {
			return err
		}
	}
	return nil
}

// checkProgram looks for the subject's program, so that one that is missing is said once, before anything is recorded.
// A program that is built from a revision, or that a setting names, is looked for when it is started.
func (r *Runner) checkProgram() error {
	program := r.Plan.Subject.Command[0]
	if len(r.Plan.Subject.Build) > 0 && slices.ContainsFunc(r.Plan.Trials,
		func(s Step) bool { return s.Settings["subject_ref"] != "" }) ||
		strings.Contains(program, "{{") || r.Plan.Subject.Attach != nil {
		return nil
	}
	if _, err := subject.Executable(program); err != nil {
		return fmt.Errorf("%w: subject %s: %w", ErrConfig, r.Plan.Subject.Name, err)
	}
	return nil
}

// buildable returns the subject with a command that builds it, where the configuration asks for revisions and the
// subject's file names none: the main package and the tags that its binary says it was built from.
func buildable(s *subject.Spec, c Config) (*subject.Spec, error) {
	const name = "subject_ref"
	_, set := c.Set[name]
	wanted := c.SubjectRef != "" || set || slices.ContainsFunc(c.Axes, func(a Axis) bool { return a.Name == name }) ||
		slices.ContainsFunc(c.Cells, func(c Cell) bool { return c[name] != "" })
	if !wanted || len(s.Build) > 0 {
		return s, nil
	}
	info, err := buildinfo.ReadFile(s.Command[0])
	if err != nil {
		return nil, fmt.Errorf("subject %s can't be built from a revision: its file has no `build`, and its binary doesn't "+
			"say what it was built from: %w", s.Name, err)
	}
	out := *s
	out.Build = []string{"go", "build"}
	for _, kv := range info.Settings {
		if kv.Key == "-tags" && kv.Value != "" {
			out.Build = append(out.Build, "-tags="+kv.Value)
		}
	}
	out.Build = append(out.Build, "-o", builtAt(s), info.Path)
	return &out, nil
}

// builtAt is where a build in a checkout leaves the subject's binary, below the working directory's place in it.
func builtAt(s *subject.Spec) string {
	path := filepath.Clean(s.Command[0])
	if filepath.IsLocal(path) {
		return path
	}
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return filepath.Base(path)
}

// git runs git here, with env beside this process's environment, and returns what it prints.
func git(ctx context.Context, env []string, args ...string) (string, error) {
	return outputWith(ctx, ".", append(os.Environ(), env...), "git", args...)
}

// outputWith runs a command in dir with env alone and returns what it prints; of its errors the last lines.
func outputWith(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = env
	out, err := cmd.Output()
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	said := ""
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		said = strings.TrimSpace(string(exit.Stderr))
		if len(said) > 1000 {
			said = "..." + said[len(said)-1000:]
		}
	}
	return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said)
}
