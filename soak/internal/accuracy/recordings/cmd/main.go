// Command recordings records real libraries live, with the modules that the Go module proxy has, and keeps the data
// needed to judge the recordings again: sizes by place, kilobytes each.
package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/recordings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// bench is a run of the recordings.
type bench struct {
	soak, subject, out, work string
	log                      io.Writer

	mu       sync.Mutex
	programs map[string]func() (string, error)
	results  []recordings.Result
}

func run(args []string, stdout, stderr io.Writer) int {
	b := bench{log: stdout, programs: map[string]func() (string, error){}}
	flags := flag.NewFlagSet("recordings", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&b.soak, "soak", "bin/soak", "the command soak")
	flags.StringVar(&b.subject, "subject", "soak/recordings", "module of the subject")
	flags.StringVar(&b.out, "out", recordings.Dir, "directory of the results")
	only := flags.String("only", "", "record those whose name has this part")
	jobs := flags.Int("jobs", 4, "recordings side by side")
	if err := flags.Parse(args); err != nil {
		return exitcode.UsageError
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := b.all(ctx, *only, *jobs); err != nil {
		fmt.Fprintln(stderr, "recordings:", err)
		return 1
	}
	return 0
}

func (b *bench) all(ctx context.Context, only string, jobs int) (err error) {
	for _, p := range []*string{&b.soak, &b.subject, &b.out} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if b.work, err = os.MkdirTemp("", "memsoak-recordings-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	if err := b.load(); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, jobs))
	for _, r := range recordings.All() {
		if strings.Contains(r.Name, only) {
			g.Go(func() error {
				if err := b.one(ctx, r); err != nil {
					return fmt.Errorf("%s: %w", r.Name, err)
				}
				return nil
			})
		}
	}
	return g.Wait()
}

// load reads the results of recordings that aren't made again.
func (b *bench) load() error {
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(b.out, recordings.ResultsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &b.results)
}

// one records and reduces.
func (b *bench) one(ctx context.Context, r recordings.Recording) error {
	program, err := b.program(ctx, r)
	if err != nil {
		return err
	}
	args := []string{r.Scenario}
	if r.Stop > 0 {
		args = []string{"-stop", r.Stop.String(), r.Scenario}
	}
	subject := exec.CommandContext(ctx, program, args...)
	subject.Stderr = os.Stderr
	stdout, err := subject.StdoutPipe()
	if err != nil {
		return err
	}
	if err := subject.Start(); err != nil {
		return err
	}
	defer func() {
		_ = subject.Process.Kill()
		_ = subject.Wait() // it was killed
	}()
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		return fmt.Errorf("the subject gave no address: %w", err)
	}
	dir := filepath.Join(b.work, r.Name)
	if err := b.command(ctx, "record", "--pid", fmt.Sprint(subject.Process.Pid), "--for", r.For.String(), "--out",
		dir); err != nil {
		return err
	}
	if err := b.command(ctx, "diagnose", dir, "--reduce", filepath.Join(b.out, r.Name+recordings.Suffix)); err != nil {
		return err
	}
	return b.keep(r, dir)
}

// keep writes the result of a recording among the others.
func (b *bench) keep(r recordings.Recording, dir string) error {
	rv, err := record.ReadRunVerdict(dir)
	if err != nil {
		return err
	}
	if len(rv.Cells) != 1 || rv.Cells[0].Growth == nil {
		return errors.New("the recording has no verdict of its growth")
	}
	v := &rv.Cells[0]
	out := recordings.Result{Name: r.Name, Headline: v.Headline.String(), Profiles: v.Growth.Profiles,
		Floors: v.Growth.Floors}
	if r.Module != "" {
		out.Module = r.Module + "@" + r.Version
	}
	for _, f := range v.Findings {
		out.Classes = append(out.Classes, string(f.Class))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results = append(slices.DeleteFunc(b.results, func(x recordings.Result) bool { return x.Name == r.Name }), out)
	slices.SortFunc(b.results, func(x, y recordings.Result) int { return cmp.Compare(x.Name, y.Name) })
	fmt.Fprintf(b.log, "%-28s %s\n", r.Name, v.Growth.Total.Shape)
	return record.Write(filepath.Join(b.out, recordings.ResultsFile), b.results)
}

// program builds the subject with the version of a recording, once.
func (b *bench) program(ctx context.Context, r recordings.Recording) (string, error) {
	key, dir := strings.NewReplacer("/", "_", "@", "_").Replace(r.Module+r.Version), b.subject
	if r.Fresh {
		key, dir = "fresh", filepath.Join(b.subject, "fresh")
	}
	b.mu.Lock()
	build := b.programs[key]
	if build == nil {
		build = sync.OnceValues(func() (string, error) { return b.build(ctx, dir, key, r.Module, r.Version) })
		b.programs[key] = build
	}
	b.mu.Unlock()
	return build()
}

func (b *bench) build(ctx context.Context, dir, key, module, version string) (string, error) {
	program, mod := filepath.Join(b.work, "subject"+key), filepath.Join(b.work, "subject"+key+".mod")
	for from, to := range map[string]string{"go.mod": mod, "go.sum": strings.TrimSuffix(mod, ".mod") + ".sum"} {
		text, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return "", err
		}
	}
	steps := [][]string{{"build", "-mod=mod", "-modfile=" + mod, "-o", program, "./subject"}}
	if module != "" {
		steps = append([][]string{{"mod", "edit", "-replace=" + module + "=" + module + "@" + version, mod}}, steps...)
	}
	for _, args := range steps {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go %s: %w: %s", args[0], err, out)
		}
	}
	return program, nil
}

// command runs soak.
func (b *bench) command(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, b.soak, args...)
	cmd.Dir = b.work
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("soak %s: %w: %s", args[0], err, out)
	}
	return nil
}
