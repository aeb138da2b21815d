package soak

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/attach"
	"github.com/memsoak/memsoak/soak/internal/gateway"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// Attach is the plan of a process that runs already: at where, which is its process id or the URL of its pprof. s is
// its subject file, of which only the load is used, or nil: then the draft's URL is its load. detach ends the watching
// of the process, which lives on.
func Attach(ctx context.Context, where string, s *subject.Spec, d Draft, c Config, remote []string) (_ *Plan,
	detach func(), err error) {
	if err := attachable(&c); err != nil {
		return nil, nil, err
	}
	target, at, err := attachTarget(ctx, where, remote)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			target.Close()
		}
	}()
	listens, err := listensOf(target, at)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		s, err = d.attached(listens, target.Pprof)
	} else {
		s, err = loadOf(s, listens)
	}
	if err != nil {
		return nil, nil, asConfig(err)
	}
	if err := gateway.CheckHost(s.Addr, remote); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s.Attach, s.Pprof, s.Command = target, target.Pprof, []string{target.Name}
	if s.Name == "" {
		s.Name = target.Name
	}
	p, err := NewPlanFor(s, c, Shard{})
	if err != nil {
		return nil, nil, err
	}
	p.Remote = remote
	return p, target.Close, nil
}

// asConfig marks an error as one of the configuration, where it isn't yet.
func asConfig(err error) error {
	if errors.Is(err, ErrConfig) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrConfig, err)
}

// attachable refuses what only a start can do, and takes the rest.
func attachable(c *Config) error {
	refused := map[string]bool{
		"axes": len(c.Axes)+len(c.Cells) > 0, "subject_ref": c.SubjectRef != "", "repeats": c.Repeats > 1,
		"node": c.Node != 0, "trials": len(c.Trials) > 0 && !slices.Equal(c.Trials, []record.TrialKind{record.Attribution}),
	}
	for name := range c.Set {
		refused[name] = runnerSettings[name] != nil
	}
	for _, name := range slices.Sorted(maps.Keys(refused)) {
		if refused[name] {
			return fmt.Errorf("%w: %s: a process that memsoak did not start is neither set nor restarted; run its command "+
				"after -- instead of --attach", ErrConfig, name)
		}
	}
	c.Trials, c.Limit = []record.TrialKind{record.Attribution}, 0
	return nil
}

// attachTarget finds the process, and the host:port of the URL where one was given.
func attachTarget(ctx context.Context, where string, remote []string) (*attach.Target, string, error) {
	if pid, err := strconv.Atoi(where); err == nil && pid > 0 {
		t, err := attach.Process(ctx, pid, "")
		if errors.Is(err, attach.ErrNoPprof) {
			err = fmt.Errorf("process %d serves no profiles on a port of this machine. Two lines do: %s; where they are "+
				"elsewhere, give their URL to --attach", pid, PprofLines)
		}
		return t, "", err
	}
	u, err := url.Parse(where)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, "", fmt.Errorf("%w: --attach %q: give a process id, or a URL such as http://127.0.0.1:6060/debug/pprof",
			ErrConfig, where)
	}
	if err := gateway.CheckHost(u.Host, remote); err != nil {
		return nil, "", fmt.Errorf("%w: --attach: %w", ErrConfig, err)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/debug/pprof"
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if err := attach.Answers(ctx, u.String()); err != nil {
		return nil, "", fmt.Errorf("--attach %s: no profiles there (%w). Two lines serve them: %s", where, err, PprofLines)
	}
	if port, err := strconv.Atoi(u.Port()); err == nil && gateway.CheckHost(u.Host, nil) == nil {
		if pid := attach.Owner(port); pid > 0 {
			t, err := attach.Process(ctx, pid, u.String())
			return t, u.Host, err
		}
	}
	return &attach.Target{Pprof: u.String(), Name: u.Hostname()}, u.Host, nil
}

// listensOf are the addresses that the process may answer at, that of its pprof last; of a process that can't be seen
// only the one that was given.
func listensOf(t *attach.Target, at string) ([]string, error) {
	if t.PID == 0 {
		return []string{at}, nil
	}
	ports, err := attach.Ports(t.PID)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w; it is another user's", t.PID, err)
	}
	var own, last []string
	for _, port := range ports {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if strings.Contains(t.Pprof, fmt.Sprintf(":%d/", port)) {
			last = append(last, addr)
			continue
		}
		own = append(own, addr)
	}
	return append(own, last...), nil
}

// attached is the subject of the draft's URL, or of the root of the process's only listener.
func (d Draft) attached(listens []string, pprof string) (*subject.Spec, error) {
	target, addr, err := d.target(subject.Probed{Listens: listens, Pprof: pprof}, "the process")
	if err != nil {
		return nil, err
	}
	return &subject.Spec{Addr: addr, Load: &load.Spec{Targets: []load.Target{target}}}, nil
}

// loadOf is what of a subject file is of use for a process that runs: its load, and where it listens.
func loadOf(file *subject.Spec, listens []string) (*subject.Spec, error) {
	s := *file
	switch {
	case s.Load == nil:
		return nil, fmt.Errorf("subject %s has no load, by which alone a process that runs already is given work", s.Name)
	case s.Load.Consume != nil && s.Load.Consume.Upstream != "":
		return nil, fmt.Errorf("subject %s: load.consume.upstream: no gate stands before what a process that runs already "+
			"calls; count by load.consume.counter", s.Name)
	case s.Addr == "" && len(listens) > 1:
		return nil, fmt.Errorf("the process listens at %s: say with `addr` in the subject file which one is the service",
			strings.Join(listens, ", "))
	case s.Addr == "":
		s.Addr = listens[0]
	}
	s.Command, s.Env, s.Files, s.Build, s.Upstreams, s.Concurrency = []string{s.Name}, nil, nil, nil, nil, ""
	settings := s.Settings
	s.Settings = nil
	uses := s.SettingNames()
	for k, v := range settings {
		if slices.Contains(uses, k) {
			if s.Settings == nil {
				s.Settings = map[string]string{}
			}
			s.Settings[k] = v
		}
	}
	return &s, nil
}
