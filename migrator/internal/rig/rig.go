// Package rig builds the repository's programs and runs the two fakes as processes of their own, for tests and
// benchmarks of the migrator. It knows the fakes by their command lines and admin protocol alone.
package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Binaries are the paths of the programs.
type Binaries struct{ Migrator, Fakedrive, Soak string }

// BinEnv is the environment variable with a folder of programs that are built already.
const BinEnv = "MIGRATOR_BIN"

// Build builds the programs into dir, unless BinEnv says where they are.
func Build(ctx context.Context, dir string) (Binaries, error) {
	if have := os.Getenv(BinEnv); have != "" {
		return in(have), nil
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return Binaries{}, fmt.Errorf("go list: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"./migrator/cmd/migrator", "./fakedrive/cmd/fakedrive", "./soak/cmd/soak")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return Binaries{}, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return in(dir), nil
}

func in(dir string) Binaries {
	return Binaries{filepath.Join(dir, "migrator"), filepath.Join(dir, "fakedrive"), filepath.Join(dir, "soak")}
}

// Fake is a running fake.
type Fake struct {
	HTTP   string `json:"http"`
	HTTPS  string `json:"https"`
	Proxy  string `json:"proxy"`
	Admin  string `json:"admin"`
	CAFile string `json:"ca_file"`

	cmd *exec.Cmd
	log *bytes.Buffer
}

// Drive starts a fakedrive with all its listeners. Files go to dir.
func Drive(dir, bin string, args ...string) (*Fake, error) {
	addr := filepath.Join(dir, "drive.json")
	return start(addr, bin, append([]string{"serve", "--corpus", "none", "--listen", "127.0.0.1:0", "--tls-listen",
		"127.0.0.1:0",
		"--proxy-listen", "127.0.0.1:0", "--ca-file", filepath.Join(dir, "drive.pem"), "--addr-file", addr}, args...))
}

// Sink starts the S3 sink with a bucket of the name.
func Sink(dir, bin, bucket string) (*Fake, error) {
	addr := filepath.Join(dir, "sink.json")
	return start(addr, bin, []string{"fakes3", "serve", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0",
		"--ca-file", filepath.Join(dir, "sink.pem"), "--addr-file", addr, "--bucket", bucket})
}

func start(addrFile, bin string, args []string) (*Fake, error) {
	f := &Fake{cmd: exec.Command(bin, args...), log: &bytes.Buffer{}}
	f.cmd.Stdout, f.cmd.Stderr = f.log, f.log
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := f.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		b, err := os.ReadFile(addrFile)
		if err == nil {
			if err := json.Unmarshal(b, f); err != nil {
				f.Stop()
				return nil, fmt.Errorf("%s: %w", addrFile, err)
			}
			return f, nil
		}
		if f.cmd.Process.Signal(syscall.Signal(0)) != nil {
			break
		}
	}
	f.Stop()
	return nil, fmt.Errorf("%s didn't start: %s", filepath.Base(bin), f.log)
}

// Stop kills the fake and waits for its end.
func (f *Fake) Stop() {
	_ = f.cmd.Process.Kill()
	_ = f.cmd.Wait() // killed on purpose
}

// PID is the fake's process id.
func (f *Fake) PID() int { return f.cmd.Process.Pid }

// Call calls the admin protocol: in and out are JSON and may be nil. A string is sent as it is.
func (f *Fake) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(v)
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.Admin+"/_fake/v1/"+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/yaml")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = b
		return nil
	}
	return json.Unmarshal(b, out)
}

// Counters are those of the fake that benches and tests here read.
type Counters struct {
	Started     int64 `json:"started"`
	Finished    int64 `json:"finished"`
	FilesListed int64 `json:"files_listed"`
	FaultsFired int64 `json:"faults_fired"`
	InFlight    int64 `json:"in_flight"`
	Requests    int64 `json:"requests"`
}

// Counters reads the fake's counters.
func (f *Fake) Counters(ctx context.Context) (Counters, error) {
	var c Counters
	err := f.Call(ctx, http.MethodGet, "counters", nil, &c)
	return c, err
}

// Root is the folder id of a tree and its contents.
type Root struct {
	ID    string `json:"id"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

// Root mints a tree: corpus is a preset's name, spec a YAML text; one of them is empty.
func (f *Fake) Root(ctx context.Context, corpus, spec string, generation uint64) (Root, error) {
	var r Root
	err := f.Call(ctx, http.MethodPost, "roots", map[string]any{"corpus": corpus, "spec": spec, "generation": generation},
		&r)
	return r, err
}
