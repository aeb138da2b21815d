// Package bisect finds the commit that brought a memory finding in. It drives git bisect in a worktree of its own, so
// that the user's checkout is left alone, and keeps a log from which an interrupted search continues. The value of a
// commit is the caller's judgement; revisions about which nothing can be said are skipped, not guessed.
package bisect

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Judgement of a revision. The zero value skips it: no data is no answer.
type Judgement int

// The judgements.
const (
	Skip Judgement = iota
	Good
	Bad
)

var names = [...]string{"skip", "good", "bad"}

func (j Judgement) String() string { return names[j] }

// MarshalText implements encoding.TextMarshaler.
func (j Judgement) MarshalText() ([]byte, error) { return []byte(names[j]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (j *Judgement) UnmarshalText(b []byte) error {
	for i, n := range names {
		if n == string(b) {
			*j = Judgement(i)
			return nil
		}
	}
	return fmt.Errorf("unknown judgement %q", b)
}

// Step is one tested revision, a line of the log.
type Step struct {
	Rev       string    `json:"rev"` // full hash
	Subject   string    `json:"subject"`
	Judgement Judgement `json:"judgement"`
	Detail    string    `json:"detail,omitempty"`
	FromLog   bool      `json:"-"` // known from an earlier search
}

// Options of a search.
type Options struct {
	Repo      string // any path inside the repository
	Good, Bad string // revisions
	Log       string // path of the log, which is read first and appended to
	// Test judges a revision. An error ends the search.
	Test func(ctx context.Context, rev string) (Judgement, string, error)
	// Progress receives each step; nil: no receiver.
	Progress func(Step)
}

// Result of a search.
type Result struct {
	// First is the first bad commit; empty when skipped ones leave several.
	First string `json:"first,omitempty"`
	// Candidates are the commits among which it is when First is empty.
	Candidates []string `json:"candidates,omitempty"`
	Steps      []Step   `json:"steps"`
}

// Errors that the ends of the search lead to.
var (
	ErrGoodIsBad = errors.New("the good revision is bad already: name an older one")
	ErrBadIsGood = errors.New("the bad revision is good: there is nothing to find between them")
	ErrUnjudged  = errors.New("an end of the search could not be judged")
)

// Run searches. Both ends are tested first, so that a search never runs on a wrong belief.
func Run(ctx context.Context, o Options) (*Result, error) {
	s := &search{o: o, known: map[string]Step{}}
	if err := s.readLog(); err != nil {
		return nil, err
	}
	var err error
	if s.good, err = git(ctx, o.Repo, "rev-parse", "--verify", "--end-of-options", o.Good+"^{commit}"); err != nil {
		return nil, fmt.Errorf("good revision %s: %w", o.Good, err)
	}
	if s.bad, err = git(ctx, o.Repo, "rev-parse", "--verify", "--end-of-options", o.Bad+"^{commit}"); err != nil {
		return nil, fmt.Errorf("bad revision %s: %w", o.Bad, err)
	}
	if err := s.ends(ctx); err != nil {
		return &s.result, err
	}
	return &s.result, s.middle(ctx)
}

type search struct {
	o         Options
	good, bad string
	known     map[string]Step
	result    Result
}

func (s *search) ends(ctx context.Context) error {
	for _, end := range []struct {
		rev   string
		want  Judgement
		other error
	}{{s.bad, Bad, ErrBadIsGood}, {s.good, Good, ErrGoodIsBad}} {
		step, err := s.test(ctx, end.rev)
		switch {
		case err != nil:
			return err
		case step.Judgement == Skip:
			return fmt.Errorf("%w: %s: %s", ErrUnjudged, short(end.rev), step.Detail)
		case step.Judgement != end.want:
			return fmt.Errorf("%w (%s: %s)", end.other, short(end.rev), step.Detail)
		}
	}
	return nil
}

var hash = regexp.MustCompile(`^[0-9a-f]{40,64}$`)

var firstBad = regexp.MustCompile(`(?m)^([0-9a-f]{40,64}) is the first bad commit`)

// middle lets git choose revisions until it names the first bad one.
func (s *search) middle(ctx context.Context) error {
	tree, err := os.MkdirTemp("", "memsoak-bisect-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	tree = filepath.Join(tree, "tree")
	if _, err := git(ctx, s.o.Repo, "worktree", "add", "--detach", tree, s.bad); err != nil {
		return err
	}
	defer func() {
		// The search may have been cancelled; its worktree goes all the same.
		_, _ = git(context.WithoutCancel(ctx), s.o.Repo, "worktree", "remove", "--force", tree)
	}()
	out, err := git(ctx, tree, "bisect", "start", s.bad, s.good)
	for err == nil {
		if m := firstBad.FindStringSubmatch(out); m != nil {
			s.result.First = m[1]
			return nil
		}
		var rev string
		if rev, err = git(ctx, tree, "rev-parse", "HEAD"); err != nil {
			return err
		}
		var step Step
		if step, err = s.test(ctx, rev); err != nil {
			return err
		}
		out, err = git(ctx, tree, "bisect", step.Judgement.String(), rev)
	}
	if c := candidates(out); len(c) > 0 {
		s.result.Candidates = c
		return nil
	}
	return err
}

// candidates reads what git prints, with exit code 2, when only skipped commits are left.
func candidates(out string) []string {
	_, list, ok := strings.Cut(out, "The first bad commit could be any of:\n")
	if !ok {
		return nil
	}
	var revs []string
	for line := range strings.Lines(list) {
		if rev := strings.TrimSpace(line); hash.MatchString(rev) {
			revs = append(revs, rev)
		}
	}
	return revs
}

// test judges a revision, from the log where it is known.
func (s *search) test(ctx context.Context, rev string) (Step, error) {
	step, ok := s.known[rev]
	if ok {
		step.FromLog = true
	} else {
		step = Step{Rev: rev}
		var err error
		if step.Subject, err = git(ctx, s.o.Repo, "log", "-1", "--format=%s", rev); err != nil {
			return step, err
		}
		if step.Judgement, step.Detail, err = s.o.Test(ctx, rev); err != nil {
			return step, fmt.Errorf("test %s: %w", short(rev), err)
		}
		s.known[rev] = step
		if err := s.log(step); err != nil {
			return step, err
		}
	}
	s.result.Steps = append(s.result.Steps, step)
	if s.o.Progress != nil {
		s.o.Progress(step)
	}
	return step, nil
}

func (s *search) log(step Step) error {
	if s.o.Log == "" {
		return nil
	}
	b, err := json.Marshal(step)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.o.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	return errors.Join(err, f.Close())
}

// readLog reads an earlier search's log. A torn last line, as a kill leaves it, is tested again.
func (s *search) readLog() error {
	if s.o.Log == "" {
		return nil
	}
	f, err := os.Open(s.o.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var step Step
		if json.Unmarshal(lines.Bytes(), &step) == nil && step.Rev != "" {
			s.known[step.Rev] = step
		}
	}
	return lines.Err()
}

func short(rev string) string { return rev[:min(12, len(rev))] }

// git runs git in dir and returns what it printed, trimmed. The output is returned with an error too.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	text := strings.TrimRight(string(out), "\n")
	if err != nil {
		why := strings.TrimSpace(stderr.String())
		if i := strings.LastIndexByte(why, '\n'); i >= 0 {
			why = why[i+1:]
		}
		return text, fmt.Errorf("git %s: %w: %s", args[0], err, why)
	}
	return text, nil
}
