// Command testsum runs `go test` with the arguments that it is given, prints what go test prints, and at the end every
// test that was skipped, with the reason, and every one that failed: a machine on which much is skipped must not look
// like one on which all passed.
//
//	go run ./internal/testsum -timeout 20m ./...
//
// Its exit code is that of go test.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(stderr, "testsum:", err)
		return 1
	}
	s := newSummary(stdout)
	read := s.follow(out)
	err = cmd.Wait()
	s.skips()
	s.ends()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(1, exit.ExitCode())
	case err != nil || read != nil:
		fmt.Fprintln(stderr, "testsum:", errors.Join(err, read))
		return 1
	}
	return 0
}

// event is a line of go test -json.
type event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string
	Elapsed                                                float64
}

// follow reads events until the end.
func (s *summary) follow(r io.Reader) error {
	for dec := json.NewDecoder(r); ; {
		var e event
		err := dec.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, r) // else go test would wait
			return fmt.Errorf("read go test -json: %w", err)
		}
		s.event(e)
	}
}
