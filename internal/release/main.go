// Command release builds what a tag publishes: static programs for each platform in archives, their checksums, and a
// bill of materials (SBOM, CycloneDX) of the modules that are in them; then it looks at each as a user would.
//
//	go run ./internal/release -out DIR [-targets linux/amd64,...]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/memsoak/memsoak/internal/checkout"
	"github.com/memsoak/memsoak/internal/exitcode"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// allTargets are the platforms of a release.
const allTargets = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64"

// packages are the programs of a release.
var packages = map[string]string{"soak": "soak/cmd/soak", "migrator": "migrator/cmd/migrator",
	"fakedrive": "fakedrive/cmd/fakedrive"}

// release is one build of all targets.
type release struct {
	root, out, version string
	// at is the time of the commit: archives of one commit are the same, byte for byte.
	at time.Time
}

func run(args []string, stdout, stderr io.Writer) int {
	fl := flag.NewFlagSet("release", flag.ContinueOnError)
	fl.SetOutput(stderr)
	out := fl.String("out", "", "directory of the release")
	targets := fl.String("targets", allTargets, "platforms, comma-separated")
	if err := fl.Parse(args); err != nil {
		return exitcode.UsageError
	}
	if *out == "" || fl.NArg() > 0 {
		fmt.Fprintln(stderr, "release: give -out, the directory of the release")
		return exitcode.UsageError
	}
	begun := time.Now()
	ctx := context.Background()
	r, err := open(ctx, *out)
	if err == nil {
		err = r.all(ctx, strings.Split(*targets, ","), stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "release:", err)
		return exitcode.Error
	}
	fmt.Fprintf(stdout, "%s in %s, checked: static, checksums, SBOM, version (%s)\n", r.version, *out,
		time.Since(begun).Round(time.Second))
	return exitcode.OK
}

// open reads version and time of the checkout.
func open(ctx context.Context, out string) (*release, error) {
	root, err := checkout.Root(ctx)
	if err != nil {
		return nil, err
	}
	version, err := checkout.Git(ctx, root, "describe", "--tags", "--always", "--dirty")
	if err != nil {
		return nil, err
	}
	stamp, err := checkout.Git(ctx, root, "log", "-1", "--format=%cI")
	if err != nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		return nil, err
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	return &release{root: root, out: out, version: version, at: at.UTC()}, os.MkdirAll(out, 0o755)
}

// all builds and checks every target.
func (r *release) all(ctx context.Context, targets []string, stdout io.Writer) error {
	var archives []string
	var programs []string
	for _, t := range targets {
		goos, goarch, ok := strings.Cut(t, "/")
		if !ok {
			return fmt.Errorf("%q is no platform: write it as linux/amd64", t)
		}
		built, err := r.build(ctx, goos, goarch)
		if err != nil {
			return err
		}
		archive, err := r.archive(goos, goarch, built)
		if err != nil {
			return err
		}
		fmt.Fprintln(stdout, filepath.Base(archive))
		archives, programs = append(archives, archive), append(programs, built...)
	}
	bill := filepath.Join(r.out, "memsoak_"+r.version+".cdx.json")
	if err := r.bill(bill, programs); err != nil {
		return err
	}
	if err := r.checksums(append(archives, bill)); err != nil {
		return err
	}
	if err := r.check(ctx, programs); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(r.out, "build"))
}

// build compiles the programs of a platform without cgo, so that they need no library of the system.
func (r *release) build(ctx context.Context, goos, goarch string) (built []string, err error) {
	for name, pkg := range packages {
		to := filepath.Join(r.out, "build", goos+"_"+goarch, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, "./"+pkg)
		cmd.Dir = r.root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch, "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s for %s/%s: %w\n%s", name, goos, goarch, err, out)
		}
		built = append(built, to)
	}
	return built, nil
}
