// Package fakes runs the synthetic Drive and the S3 sink as processes of their own, outside of the subject's cgroup,
// and gives the runner their addresses and their admin clients. It knows their command lines and nothing of what they
// do.
package fakes

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/memsoak/memsoak/fakedrive/fault"
	"github.com/memsoak/memsoak/internal/launch"
	"github.com/memsoak/memsoak/internal/version"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// Transports of the fakes.
const (
	HTTP = "http" // plain HTTP/1.1
	TLS  = "tls"  // HTTPS with HTTP/1.1
	H2   = "h2"   // HTTPS, HTTP/2 towards Drive
)

// Options say where the programs are and how to start them.
type Options struct {
	// Fakedrive and Soak are the paths of the two programs; Find fills them in.
	Fakedrive, Soak string
	Transport       string
	// DriveFaults and S3Faults are files with fault plans, "" for none.
	DriveFaults, S3Faults string
	// Proxy asks for fakedrive's CONNECT proxy, for clients that can't be given an endpoint.
	Proxy  bool
	Bucket string
	// S3MinPart is the least size of a part of an upload, as the sink takes it; "" is S3's own.
	S3MinPart string
	// CPUs is the set of processors that both may use ("0-1,3"); empty is all.
	CPUs string
	// Env is added to the environment of both.
	Env []string
	// Dir takes address files, certificates and logs; it is the caller's to remove.
	Dir string
}

// Fakes are the two running fakes.
type Fakes struct {
	Drive, S3         *fault.Client
	DriveAddr, S3Addr fault.Addresses
	// CAFile has the certificates of both CAs; "" without TLS.
	CAFile    string
	transport string
	procs     []*launch.Process
}

// Find fills in the paths of programs that are not set: next to this program, in ./bin, or on PATH. A program of
// another version than this one is refused. A service needs gates alone, which come with soak.
func (o *Options) Find(service bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	programs := map[string]*string{"soak": &o.Soak}
	if !service {
		programs["fakedrive"] = &o.Fakedrive
	}
	for name, path := range programs {
		if *path, err = find(*path, name, self); err != nil {
			return err
		}
		if err := version.Read().Check(*path); err != nil {
			return err
		}
	}
	return nil
}

func find(set, name, self string) (string, error) {
	if set != "" {
		return exec.LookPath(set)
	}
	if filepath.Base(self) == name {
		return self, nil
	}
	for _, p := range []string{filepath.Join(filepath.Dir(self), name), filepath.Join("bin", name), name} {
		if path, err := exec.LookPath(p); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", version.Read().Missing(name)
}

// startTimeout is how long a fake may take to listen.
const startTimeout = 20 * time.Second

// Start starts both fakes and waits until they listen. ctx bounds the start only.
func Start(ctx context.Context, o Options) (_ *Fakes, err error) {
	f := &Fakes{transport: o.Transport}
	defer func() {
		if err != nil {
			f.Stop()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	driveArgs := []string{"serve", "--corpus", "none", "--listen", "127.0.0.1:0"}
	s3Args := []string{"fakes3", "serve", "--listen", "127.0.0.1:0", "--bucket", o.Bucket}
	if o.Transport != HTTP && o.Transport != "" {
		driveArgs = append(driveArgs, "--tls-listen", "127.0.0.1:0", "--ca-file", filepath.Join(o.Dir, "drive-ca.pem"))
		s3Args = append(s3Args, "--tls-listen", "127.0.0.1:0", "--ca-file", filepath.Join(o.Dir, "s3-ca.pem"))
	}
	if o.Proxy {
		driveArgs = append(driveArgs, "--proxy-listen", "127.0.0.1:0")
		if o.Transport == HTTP || o.Transport == "" {
			driveArgs = append(driveArgs, "--tls-listen", "127.0.0.1:0", "--ca-file", filepath.Join(o.Dir, "drive-ca.pem"))
		}
	}
	if o.Transport == H2 {
		driveArgs = append(driveArgs, "--h2")
	}
	if o.DriveFaults != "" {
		driveArgs = append(driveArgs, "--faults", o.DriveFaults)
	}
	if o.S3Faults != "" {
		s3Args = append(s3Args, "--faults", o.S3Faults)
	}
	if o.S3MinPart != "" {
		s3Args = append(s3Args, "--min-part", o.S3MinPart)
	}
	drive, err := start("fakedrive", o.Fakedrive, driveArgs, o)
	if err != nil {
		return nil, err
	}
	f.procs = append(f.procs, drive)
	s3, err := start("fakes3", o.Soak, s3Args, o)
	if err != nil {
		return nil, err
	}
	f.procs = append(f.procs, s3)
	var g errgroup.Group
	g.Go(func() error { return drive.Await(ctx, &f.DriveAddr) })
	g.Go(func() error { return s3.Await(ctx, &f.S3Addr) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	f.Drive, f.S3 = fault.NewClient(f.DriveAddr.Admin), fault.NewClient(f.S3Addr.Admin)
	return f, f.joinCAs(o.Dir)
}

func start(name, path string, args []string, o Options) (*launch.Process, error) {
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), o.Env...)
	return launch.Start(name, o.Dir, cmd, func(cmd *exec.Cmd) error { return subject.StartOn(o.CPUs, cmd) })
}

// Ended is the error of a fake that ended by itself; measurements from then on say nothing about the subject.
// A connection is refused a moment before the process is known to have ended: within is how long to wait for that.
func (f *Fakes) Ended(within time.Duration) error {
	var errs []error
	for _, p := range f.procs {
		errs = append(errs, p.Ended(within))
	}
	return errors.Join(errs...)
}

// joinCAs writes the certificates of both CAs into one file, so that one --ca-file or SSL_CERT_FILE trusts both.
func (f *Fakes) joinCAs(dir string) error {
	var all []byte
	for _, a := range []fault.Addresses{f.DriveAddr, f.S3Addr} {
		if a.CAFile == "" {
			continue
		}
		b, err := os.ReadFile(a.CAFile)
		if err != nil {
			return fmt.Errorf("certificate of a fake: %w", err)
		}
		all = append(append(all, b...), '\n')
	}
	if all == nil {
		return nil
	}
	f.CAFile = filepath.Join(dir, "ca.pem")
	return os.WriteFile(f.CAFile, all, 0o644)
}

// DriveURL is the address that the subject is given for Drive.
func (f *Fakes) DriveURL() string { return f.url(f.DriveAddr) }

// S3URL is the address that the subject is given for S3.
func (f *Fakes) S3URL() string { return f.url(f.S3Addr) }

func (f *Fakes) url(a fault.Addresses) string {
	if f.transport == TLS || f.transport == H2 {
		return a.HTTPS
	}
	return a.HTTP
}

// Stop kills both fakes, which have nothing to save, and waits for them. It may be called twice, and on nil,
// which is what a start that failed left.
func (f *Fakes) Stop() {
	if f == nil {
		return
	}
	for _, p := range f.procs {
		p.Stop()
	}
	f.procs = nil
	for _, c := range []*fault.Client{f.Drive, f.S3} {
		if c != nil {
			c.Close()
		}
	}
}
