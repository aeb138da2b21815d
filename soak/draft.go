package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// Draft has the known facts of a service before there is a subject file.
type Draft struct {
	Command []string
	Env     []string // NAME=value
	// URL is a request that the service answers; it may have placeholders. Empty: the root of its only listener.
	URL     string
	Method  string
	Headers map[string]string
	Body    string
	// Load is a load command in place of the request; Consume the upstream that is the queue of a service which fetches
	// its work.
	Load    []string
	Consume string
	// Upstreams are the services that it calls, as they stand in Command and Env: name to address.
	Upstreams map[string]string
}

// Subject finds out missing facts by starting the command once, and returns the subject. Addresses that stand in the
// command or its environment become placeholders, so that memsoak can choose them. answer is what the request was
// answered with, "" where none was made.
func (d Draft) Subject(ctx context.Context) (s *subject.Spec, answer string, err error) {
	if len(d.Command) == 0 {
		return nil, "", fmt.Errorf("%w: no command; write it after --", ErrConfig)
	}
	if s, answer, err = d.probed(ctx); err != nil {
		return nil, "", err
	}
	return s, answer, s.Check()
}

// probed is the subject as its command's start shows it.
func (d Draft) probed(ctx context.Context) (*subject.Spec, string, error) {
	found, err := subject.Probe(ctx, d.Command, d.Env, d.ask())
	if missing := new(exec.Error); errors.As(err, &missing) {
		return nil, "", fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s was started to find out where it listens: %w; its log: %s", d.Command[0], err,
			lastLineOf(found.Log))
	}
	if found.Pprof == "" {
		return nil, "", fmt.Errorf("%s serves no profiles at %s. Two lines do: %s. %s", d.Command[0],
			strings.Join(found.Listens, ", "), PprofLines, withoutPprof)
	}
	work, addr, err := d.work(found)
	if err != nil {
		return nil, "", err
	}
	s := &subject.Spec{
		Name: strings.TrimSuffix(filepath.Base(d.Command[0]), ".exe"), Env: map[string]string{},
		Load: work, Upstreams: map[string]load.Upstream{},
	}
	r := d.replacer(addr)
	for _, a := range d.Command {
		s.Command = append(s.Command, r.Replace(a))
	}
	for _, kv := range d.Env {
		k, v, _ := strings.Cut(kv, "=")
		s.Env[k] = r.Replace(v)
	}
	if n := workersSetting(s.Command[1:], s.Env); n != "" {
		s.Settings = map[string]string{"workers": n}
	}
	if !slices.ContainsFunc(append(slices.Collect(maps.Values(s.Env)), s.Command...),
		func(t string) bool { return strings.Contains(t, "{{.addr}}") }) {
		s.Addr = addr // it stands in the program, or in a file
	}
	s.Pprof = strings.ReplaceAll(found.Pprof, addr, "{{.addr}}")
	for name, at := range d.Upstreams {
		s.Upstreams[name] = load.Upstream{Address: at}
	}
	return s, found.Answer, nil
}

// work is the load, and the address at which the service gets it.
func (d Draft) work(found subject.Probed) (*load.Spec, string, error) {
	if d.URL == "" && (len(d.Load) > 0 || d.Consume != "") {
		addr, err := onlyListener(found, d.Command[0])
		if err != nil && d.Consume != "" {
			addr, err = strings.Split(found.Pprof, "/")[2], nil // nothing is sent to it
		}
		if d.Consume != "" {
			return &load.Spec{Consume: &load.Consume{Upstream: d.Consume}}, addr, err
		}
		return &load.Spec{Command: d.Load}, addr, err
	}
	target, addr, err := d.target(found, d.Command[0])
	if len(d.Load) > 0 {
		return &load.Spec{Command: d.Load}, addr, err
	}
	return &load.Spec{Targets: []load.Target{target}}, addr, err
}

// ask makes the request once, so that a service which refuses it is seen before a run; nil where there is none.
func (d Draft) ask() subject.Ask {
	if d.URL == "" || len(d.Load) > 0 || d.Consume != "" {
		return nil
	}
	return func(ctx context.Context, c *http.Client) string {
		try := *c
		try.Timeout = askTimeout
		status, err := load.Once(ctx, &try, load.Target{Method: d.Method, URL: d.URL, Headers: d.Headers, Body: d.Body})
		if err != nil {
			return err.Error()
		}
		return status
	}
}

// askTimeout is the patience with the one request of a draft.
const askTimeout = 5 * time.Second

// target is the request, with the service's address as a placeholder.
func (d Draft) target(found subject.Probed, who string) (load.Target, string, error) {
	t := load.Target{Method: d.Method, Headers: d.Headers, Body: d.Body}
	if d.URL == "" {
		at, err := onlyListener(found, who)
		t.URL = "http://{{.addr}}/"
		return t, at, err
	}
	u, err := url.Parse(d.URL)
	if err != nil || u.Host == "" {
		return t, "", fmt.Errorf("%w: --url %q: write http://host:port/path", ErrConfig, d.URL)
	}
	addr := strings.Replace(u.Host, "localhost", "127.0.0.1", 1)
	if !slices.Contains(found.Listens, addr) {
		return t, "", fmt.Errorf("%w: --url %q: %s listens at %s", ErrConfig, d.URL, who, strings.Join(found.Listens, ", "))
	}
	t.URL = strings.Replace(d.URL, u.Host, "{{.addr}}", 1)
	return t, addr, nil
}

// onlyListener is the address that requests go to when no request was named. Of several none is taken: one may be for
// metrics and profiles alone, and a load on that one would comfort without a look at the service.
func onlyListener(found subject.Probed, who string) (string, error) {
	if len(found.Listens) == 1 {
		return found.Listens[0], nil
	}
	profiles, _ := strings.CutPrefix(found.Pprof, "http://")
	profiles, _, _ = strings.Cut(profiles, "/")
	return "", fmt.Errorf("%w: %s listens at %s, with its profiles at %s: say with --url which request is its work",
		ErrConfig, who, strings.Join(found.Listens, " and "), profiles)
}

// replacer puts placeholders in the place of addresses. An upstream's gate has a URL of its own, so its scheme goes
// too.
func (d Draft) replacer(addr string) *strings.Replacer {
	_, port, _ := strings.Cut(addr, ":")
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(d.Upstreams)) {
		at := d.Upstreams[name]
		if scheme, host, _ := strings.Cut(at, "://"); !strings.HasPrefix(scheme, "http") {
			at = host // clients of gRPC and of raw TCP take no scheme
		}
		pairs = append(pairs, at, "{{.upstream."+name+"}}")
	}
	return strings.NewReplacer(append(pairs, addr, "{{.addr}}", "localhost:"+port, "{{.addr}}", "0.0.0.0:"+port,
		"{{.addr}}")...)
}

func lastLineOf(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if l := lines[len(lines)-1]; l != "" {
		return l
	}
	return "it said nothing"
}
