package subject

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
)

// upstreamPrefix is what the names of upstreams have before them among the placeholders' values.
const upstreamPrefix = "upstream."

// upstreamName is a name that a template can say: {{.upstream.NAME}}.
var upstreamName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// UpstreamValue is the key, among the values of placeholders, of the address that stands for an upstream.
func UpstreamValue(name string) string { return upstreamPrefix + name }

// checkService says what breaks the contract in the keys of a service.
func (s *Spec) checkService() error {
	if s.Load == nil {
		if len(s.Upstreams) > 0 {
			return fmt.Errorf("upstreams need a load: a wave has the fakes of Drive and S3 around it")
		}
		return s.Wave.Poll.check()
	}
	if s.Wave.Exit || s.Wave.URL != "" {
		return fmt.Errorf("it has both a load and a wave; a service has a load")
	}
	if err := s.Load.Check(); err != nil {
		return err
	}
	if err := s.checkTargets(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Upstreams)) {
		u := s.Upstreams[name]
		switch {
		case !upstreamName.MatchString(name) || name == Front:
			return fmt.Errorf("upstreams: %q is no name; take letters, digits and _, and not %q", name, Front)
		case (u.Address == "") == (u.Reply == nil):
			return fmt.Errorf("upstreams.%s: it needs an address, or a reply that memsoak makes", name)
		case !s.uses(name):
			return fmt.Errorf("upstreams.%s: nothing of the subject uses {{.upstream.%s}}, so no request would pass its gate",
				name, name)
		}
	}
	if c := s.Load.Consume; c != nil && c.Upstream != "" {
		if _, ok := s.Upstreams[c.Upstream]; !ok {
			return fmt.Errorf("load.consume.upstream: no upstream is named %q", c.Upstream)
		}
	}
	return nil
}

// Front is the name of the gate before the subject.
const Front = "front"

// uses says whether the command, the environment, a file of the subject or its load uses an upstream.
func (s *Spec) uses(upstream string) bool {
	want := "." + UpstreamValue(upstream)
	for where, text := range s.templates() {
		own := strings.HasPrefix(where, "command") || strings.HasPrefix(where, "env.") || strings.HasPrefix(where,
			"files.") ||
			strings.HasPrefix(where, "load.") // the address that a service calls may be in its request
		if own && strings.Contains(text, want) {
			return true
		}
	}
	return false
}

// defaultConcurrency is the setting of how many items the subject gets at the same time: its workers where it has
// such a setting, else those in flight.
func (s *Spec) defaultConcurrency() string {
	if s.Load == nil {
		return "workers"
	}
	if _, ok := s.Settings["workers"]; ok || slices.Contains(s.Placeholders(), "workers") {
		return "workers"
	}
	return "concurrency"
}

// serviceTemplates adds the templates of a service's keys.
func (s *Spec) serviceTemplates(m map[string]string) {
	if s.Wave.Poll != nil {
		m["wave.poll.url"] = s.Wave.Poll.URL
	}
	if s.Load == nil {
		return
	}
	for k, v := range s.Load.Templates() {
		m["load."+k] = v
	}
	for name, u := range s.Upstreams {
		m["upstreams."+name] = u.Address
		if u.Reply != nil {
			m["upstreams."+name+".reply.size"] = u.Reply.Size
		}
	}
}

// Sized says whether the work of a service has a size: a template uses {{.size}} or {{.blob}}.
func (s *Spec) Sized() bool {
	if s.Load == nil {
		return false
	}
	return s.Load.Uses("size", s.madeSizes()...) || s.Load.Uses("blob")
}

// SizedReplies says whether the size is that of replies that memsoak makes for an upstream.
func (s *Spec) SizedReplies() bool {
	return slices.ContainsFunc(s.madeSizes(), func(t string) bool { return strings.Contains(t, ".size") })
}

func (s *Spec) madeSizes() []string {
	var out []string
	for _, u := range s.Upstreams {
		if u.Reply != nil {
			out = append(out, u.Reply.Size)
		}
	}
	return out
}

// SizedRequests says whether the size is that of the bodies of requests.
func (s *Spec) SizedRequests() bool {
	return slices.ContainsFunc(s.Load.Targets, func(t load.Target) bool {
		return strings.Contains(t.Body, ".blob") || strings.Contains(t.Body, ".size")
	})
}

// frontURL is how the URL of a target begins: where memsoak's gate stands.
const frontURL = "://{{.addr}}"

// checkTargets says which target goes past the gate before the subject.
func (s *Spec) checkTargets() error {
	for i, t := range s.Load.Targets {
		if !strings.HasPrefix(t.URL, "http"+frontURL) && !strings.HasPrefix(t.URL, "https"+frontURL) {
			return fmt.Errorf("load.targets[%d].url: %q must begin with http://{{.addr}} or https://{{.addr}}, where "+
				"memsoak's gate stands", i, t.URL)
		}
	}
	return nil
}

// FrontTarget is where the gate before the subject leads.
func (p *Process) FrontTarget() string {
	if p.Spec.FrontTLS() {
		return "https://" + p.Addr
	}
	return "http://" + p.Addr
}

// FrontTLS says whether the service is asked by HTTPS.
func (s *Spec) FrontTLS() bool {
	return len(s.Load.Targets) > 0 && strings.HasPrefix(s.Load.Targets[0].URL, "https")
}

// Service is what a protocol has to know of the subject.
func (s *Spec) Service() protocol.Service {
	out := protocol.Service{Sized: s.Sized()}
	for _, name := range slices.Sorted(maps.Keys(s.Upstreams)) {
		out.Upstreams = append(out.Upstreams, name)
		if s.Upstreams[name].Raw() {
			out.Raw = append(out.Raw, name)
		}
	}
	return out
}

// Values are the placeholders' values of a started process.
func (p *Process) Values() map[string]string { return maps.Clone(p.values) }

// LoadValues expands what a load needs before a wave: its concurrency and rate.
func LoadValues(s *load.Spec, values map[string]string) (concurrency, rate string, err error) {
	if concurrency, err = Expand(s.Concurrency, values); err != nil {
		return "", "", fmt.Errorf("load.concurrency: %w", err)
	}
	if rate, err = Expand(s.Rate, values); err != nil {
		return "", "", fmt.Errorf("load.rate: %w", err)
	}
	return concurrency, rate, nil
}
