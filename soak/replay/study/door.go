package study

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/replace"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/record"
)

// work is what `soak run` is asked for.
type work struct {
	Subject, Corpus, Protocol string
	Limit, Node               int64 // bytes; a Node of 0 is none
	Repeats                   int
	Seed                      int64
	Set                       map[string]string
	Axes                      map[string][]string
}

// args is the command line after `soak run`.
func (w work) args() []string {
	args := []string{"--subject", w.Subject, "--corpus", w.Corpus, "--protocol", w.Protocol, "--limit",
		strconv.FormatInt(w.Limit, 10),
		"--repeats", strconv.Itoa(w.Repeats), "--seed", strconv.FormatInt(w.Seed, 10), "--every", every.String()}
	if w.Node > 0 {
		args = append(args, "--node", strconv.FormatInt(w.Node, 10))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Axes)) {
		args = append(args, "--axis", name+"="+strings.Join(w.Axes[name], ","))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Set)) {
		args = append(args, "--set", name+"="+w.Set[name])
	}
	return args
}

// ErrWork is returned, wrapped with the words of soak, for a run that soak refuses as wrong usage.
var ErrWork = errors.New("soak run refuses")

// reportFile is the page that soak leaves in the directory of a run.
const reportFile = "report.html"

// judgedFile marks a run that was judged with the options in it: it is written last.
const judgedFile = "judged.json"

// record runs the work into dir, or the missing part of it with Resume, and has it judged by the corpus's own size.
// kept says that nothing was missing.
func (b *Bench) record(ctx context.Context, w work, dir string, o profiles.Options) (kept bool, err error) {
	marker := filepath.Join(dir, judgedFile)
	want, err := json.Marshal([2]int64{o.PlannedFiles, o.LargestFile})
	if err != nil {
		return false, err
	}
	have, _ := os.ReadFile(marker) // missing: not judged
	ran, err := b.run(ctx, w, dir)
	if err != nil {
		return false, err
	}
	if ran == 0 && bytes.Equal(have, want) {
		return true, nil
	}
	if err := os.Remove(marker); err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	if _, err := b.soak(ctx, nil, "diagnose", dir, "--files", strconv.FormatInt(o.PlannedFiles, 10), "--largest-file",
		strconv.FormatInt(o.LargestFile, 10)); err != nil {
		return false, err
	}
	return false, replace.File(marker, want, 0o644)
}

// run runs the work into dir and returns how many trials were made. A recording with other settings, or one that can't
// be read, is replaced.
func (b *Bench) run(ctx context.Context, w work, dir string) (ran int, err error) {
	args := append([]string{"run", "--json", "--out", dir}, w.args()...)
	if b.Fakedrive != "" {
		args = append(args, "--fakedrive", b.Fakedrive)
	}
	_, err = os.Stat(filepath.Join(dir, record.RunFile))
	if b.Resume && err == nil {
		ran, err = b.trials(ctx, append(args, "--resume"))
		if !errors.Is(err, ErrWork) {
			return ran, err
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return 0, err
	}
	return b.trials(ctx, args)
}

// event is what the study reads of the events of `soak run --json`.
type event struct {
	Event string `json:"event"`
	Text  string `json:"text"`
	Done  int    `json:"done"`
	Of    int    `json:"of"`
}

// trials follows a `soak run --json` and returns how many trials ended. A run in which all trials were recorded is no
// error, even if no subject got ready: the outcomes say so.
func (b *Bench) trials(ctx context.Context, args []string) (ran int, err error) {
	complete := false
	code, err := b.soak(ctx, func(e event) {
		switch e.Event {
		case "trial-ended":
			ran++
		case "warned":
			if b.Warn != nil {
				b.Warn(e.Text)
			}
		case "run-ended":
			complete = e.Done == e.Of
		}
	}, args...)
	switch {
	case ctx.Err() != nil:
		return ran, ctx.Err()
	case code == exitcode.UsageError:
		return ran, fmt.Errorf("%w: %w", ErrWork, err)
	case err != nil && complete:
		return ran, nil
	}
	return ran, err
}

// grace is how long soak may take to write its results down once it was interrupted.
const grace = 30 * time.Second

// soak runs the program and hands on the JSON lines that it prints. The error has the program's last words.
func (b *Bench) soak(ctx context.Context, on func(event), args ...string) (code int, err error) {
	cmd := exec.CommandContext(ctx, cmp.Or(b.Soak, filepath.Join("bin", "soak")), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = grace
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("%w: 'make replay-subject' builds the programs", err)
	}
	var read error
	if on != nil {
		dec := json.NewDecoder(out)
		for {
			var e event
			if read = dec.Decode(&e); read != nil {
				break
			}
			on(e)
		}
	}
	if _, err := io.Copy(io.Discard, out); err != nil && read == nil {
		read = err
	}
	if errors.Is(read, io.EOF) {
		read = nil
	}
	if err := cmd.Wait(); err != nil {
		return cmd.ProcessState.ExitCode(), fmt.Errorf("soak %s: %w: %s", args[0], err, lastLine(said.String()))
	}
	return 0, read
}

// lastLine is the last line of a text.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
