package load

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Run is one run of a load command.
type Run struct {
	Args []string
	// Env is added to the environment: MEMSOAK_REQUESTS and the like.
	Env []string
	Dir string
}

// Command runs a load command to its end. When ctx ends, the command and all that it started are ended. A failure says
// the last line of the command's output.
func Command(ctx context.Context, r Run) error {
	if len(r.Args) == 0 || r.Args[0] == "" {
		return fmt.Errorf("%w: an empty command", ErrInvalid)
	}
	var out tail
	cmd := exec.CommandContext(ctx, r.Args[0], r.Args[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Dir, cmd.Env = r.Dir, append(os.Environ(), r.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = Patience
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left running; fails when there is nothing
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("the load command %s failed (%w): %s", r.Args[0], err, out.last())
	}
	return nil
}

// tail keeps the end of the output.
type tail struct{ b []byte }

const tailBytes = 4 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if extra := len(t.b) - tailBytes; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

// last is the last line with something on it.
func (t *tail) last() string {
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	if line := strings.TrimSpace(string(lines[len(lines)-1])); line != "" {
		return line
	}
	return "it said nothing"
}
