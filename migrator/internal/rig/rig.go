// Package rig builds the repository's programs and runs the two fakes as processes of their own, for tests and
// benchmarks of the migrator. It knows the fakes by their command lines and admin protocol alone.
package rig

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/memsoak/memsoak/internal/ask"
	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/internal/launch"
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
	root, err := checkout.Root(ctx)
	if err != nil {
		return Binaries{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"./migrator/cmd/migrator", "./fakedrive/cmd/fakedrive", "./soak/cmd/soak")
	cmd.Dir = root
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
	*launch.Process `json:"-"`

	HTTP   string `json:"http"`
	HTTPS  string `json:"https"`
	Proxy  string `json:"proxy"`
	Admin  string `json:"admin"`
	CAFile string `json:"ca_file"`
}

// Drive starts a fakedrive with all its listeners. Files go to dir.
func Drive(dir, bin string, args ...string) (*Fake, error) {
	serve := []string{"serve", "--corpus", "none", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0",
		"--proxy-listen", "127.0.0.1:0", "--ca-file", filepath.Join(dir, "drive.pem")}
	return start("drive", dir, bin, append(serve, args...))
}

// Sink starts the S3 sink with a bucket of the name.
func Sink(dir, bin, bucket string) (*Fake, error) {
	return start("sink", dir, bin, []string{"fakes3", "serve", "--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0",
		"--ca-file", filepath.Join(dir, "sink.pem"), "--bucket", bucket})
}

func start(name, dir, bin string, args []string) (*Fake, error) {
	cmd := exec.Command(bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p, err := launch.Start(name, dir, cmd, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	f := &Fake{Process: p}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := p.Await(ctx, f); err != nil {
		p.Stop()
		return nil, err
	}
	return f, nil
}

// Call calls the admin protocol, as [ask.Client.Do] does.
func (f *Fake) Call(ctx context.Context, method, path string, in, out any) error {
	c := ask.Client{Base: f.Admin + "/_fake/v1/", HTTP: http.DefaultClient}
	return c.Do(ctx, method, path, in, out)
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
