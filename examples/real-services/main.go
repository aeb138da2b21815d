// Command real-services builds known open-source services from the module proxy, each in a module of its own, runs each
// as a subject of soak with its load file, and measures the same number a second time without memsoak: by its own
// requests and the service's pprof page. It prints both beside the known facts of the version.
package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// service is a row: how to build it, how to run it by hand, and its known facts.
type service struct {
	name, pkg, require string
	replace            string  // of a module that its own go.mod replaces
	toolchain          string  // "" is that of this machine
	subject            string  // file of the subject
	known              string  // what its issues say
	headline           string  // what soak has to say for it
	unit               string  // of the slope
	unseen             float64 // bytes per unit below which soak need not find anything
	args               func(p place) []string
	byHand             func(p place) (float64, error) // bytes per unit
}

// place is where a service that was started by hand stands.
type place struct{ addr, admin, dir, upstream string }

var services = []service{
	{name: "caddy-2.6.3", pkg: caddy, require: "github.com/caddyserver/caddy/v2 v2.6.3", toolchain: "go1.20.14",
		subject: "caddy.yaml", known: "holds chunked uploads whole (caddy #5366)", headline: "buffering",
		unit: "byte-in-flight", unseen: 0.05, args: caddyArgs, byHand: uploads},
	{name: "caddy-2.6.4", pkg: caddy, require: "github.com/caddyserver/caddy/v2 v2.6.4", toolchain: "go1.20.14",
		subject: "caddy.yaml", known: "passes them on", headline: "healthy",
		unit: "byte-in-flight", unseen: 0.05, args: caddyArgs, byHand: uploads},
	{name: "nsqd-1.3.0", pkg: "github.com/nsqio/nsq/apps/nsqd", require: "github.com/nsqio/nsq v1.3.0",
		replace: "github.com/judwhite/go-svc => github.com/mreiferson/go-svc v1.2.2-0.20210815184239-7a96e00010f6",
		subject: "nsqd.yaml", known: "a topic without a consumer keeps its messages", headline: "leak",
		unit: "file", unseen: 64, args: nsqdArgs, byHand: messages},
	{name: "blackbox-0.26.0", pkg: blackbox, require: blackbox + " v0.26.0",
		subject: "blackbox.yaml", known: "keeps its last 100 probes", headline: "healthy",
		unit: "file", unseen: 64, args: blackboxArgs, byHand: probes},
}

// Main packages.
const (
	caddy    = "github.com/caddyserver/caddy/v2/cmd/caddy"
	blackbox = "github.com/prometheus/blackbox_exporter"
)

func main() {
	soak := flag.String("soak", "soak", "path of the soak program")
	out := flag.String("out", "soak-results/real-services", "where programs and runs are kept, and not made again")
	only := flag.String("only", "", "name of one service")
	flag.Parse()
	fmt.Printf("%-15s %-45s %-21s %-28s %8s\n", "service", "known", "asked / said", "soak: bytes (95 of 100)", "by hand")
	missed := false
	for _, s := range services {
		if *only != "" && s.name != *only {
			continue
		}
		if err := s.run(*soak, filepath.Join(*out, s.name)); err != nil {
			fmt.Printf("%-15s %v\n", s.name, err)
			missed = true
		}
	}
	if missed {
		os.Exit(99)
	}
}

func (s *service) run(soak, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	program, err := s.build(dir)
	if err != nil {
		return err
	}
	said, err := s.soak(soak, dir, program)
	if err != nil {
		return err
	}
	hand, err := s.measured(program, dir)
	if err != nil {
		return fmt.Errorf("by hand: %w", err)
	}
	fmt.Printf("%-15s %-45s %-21s %5.4g a %-4s (%.4g to %.4g) %8.4g\n", s.name, s.known, s.headline+" / "+said.headline,
		said.slope, short(s.unit), said.lo, said.hi, hand)
	switch {
	case said.headline != s.headline:
		return errors.New("missed: see " + dir)
	case hand < said.lo-s.unseen || hand > said.hi+s.unseen:
		return fmt.Errorf("missed: by hand %.4g, which is outside the interval; see %s", hand, dir)
	}
	return nil
}

func short(unit string) string {
	return map[string]string{"byte-in-flight": "byte", "file": "item"}[unit]
}

// build builds the service in a module of its own, unless it is there.
func (s *service) build(dir string) (string, error) {
	program, module := filepath.Join(dir, "program"), filepath.Join(dir, "module")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	if err := os.MkdirAll(module, 0o755); err != nil {
		return "", err
	}
	text := fmt.Sprintf("module example.com/built\n\ngo 1.20\n\nrequire %s\n", s.require)
	if s.replace != "" {
		text += "\nreplace " + s.replace + "\n"
	}
	if err := os.WriteFile(filepath.Join(module, "go.mod"), []byte(text), 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-mod=mod", "-o", program, s.pkg)
	cmd.Dir, cmd.Env = module, append(os.Environ(), "GOTOOLCHAIN="+cmp.Or(s.toolchain, "local"))
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, said)
	}
	return program, nil
}

// verdict is what soak said: its headline, and the sum of what all findings keep per unit, with the sum of the
// intervals.
type verdict struct {
	headline      string
	slope, lo, hi float64
}

// soak runs the service as a subject, unless its verdict is there.
func (s *service) soak(soak, dir, program string) (verdict, error) {
	file := filepath.Join(dir, "run", "cells", "default", "trial-1", "verdict.json")
	if _, err := os.Stat(file); err != nil {
		if err := os.RemoveAll(filepath.Join(dir, "run")); err != nil {
			return verdict{}, err
		}
		cmd := exec.Command(soak, "run", "--subject", s.subject, "--set", "program="+program, "--protocol", "quick", "--out",
			filepath.Join(dir, "run"))
		if said, err := cmd.CombinedOutput(); err != nil {
			return verdict{}, fmt.Errorf("soak run: %w: %s", err, said)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return verdict{}, err
	}
	var v struct {
		Headline string
		Findings []struct {
			Slope *struct {
				Bytes float64
				Per   string
				CI95  [2]float64
			}
		}
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return verdict{}, err
	}
	out := verdict{headline: v.Headline}
	for _, f := range v.Findings {
		if f.Slope != nil && f.Slope.Per == s.unit {
			out.slope, out.lo, out.hi = out.slope+f.Slope.Bytes, out.lo+f.Slope.CI95[0], out.hi+f.Slope.CI95[1]
		}
	}
	return out, nil
}

// measured starts the service without memsoak and measures it.
func (s *service) measured(program, dir string) (float64, error) {
	temp, err := os.MkdirTemp(dir, "hand-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(temp)
	up := backend()
	defer up.Close()
	p := place{addr: freeAddr(), admin: freeAddr(), dir: temp, upstream: up.URL}
	cmd := exec.Command(program, s.args(p)...)
	cmd.Env = append(os.Environ(), "GODEBUG=memprofilerate=4096", "XDG_DATA_HOME="+temp, "XDG_CONFIG_HOME="+temp)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, err := heap(p.admin)
		if err == nil {
			return s.byHand(p)
		}
		if time.Now().After(end) || strings.Contains(err.Error(), "no account") {
			return 0, err
		}
	}
}
