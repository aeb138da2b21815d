// Package load gives a service its work: a number of requests, a number of them in flight, each with a new or repeated
// key and a body of a chosen size. The requests are memsoak's own, or a command's, or none: a consumer fetches
// its work itself.
//
// The requests are made with net/http and not with a load generator's library: those take a rate and a time, keep whole
// bodies and replies in memory, and don't stop at a number; an experiment needs an exact number in flight, and bodies
// that are streamed.
package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/memsoak/memsoak/fakedrive/fault"
)

// ErrInvalid is returned, wrapped with the reason, for a load that can't be given.
var ErrInvalid = errors.New("invalid load")

// Spec is the key `load` of a subject file. Exactly one of Targets, Command and Consume is set.
type Spec struct {
	// Targets are the requests of memsoak's own; each item takes the next.
	Targets []Target `yaml:"targets,omitempty" json:"targets,omitempty"`
	// Command is any load generator: one run of it is one wave.
	Command []string `yaml:"command,omitempty" json:"command,omitempty"`
	// Consume is for a subject that fetches its work itself.
	Consume *Consume `yaml:"consume,omitempty" json:"consume,omitempty"`

	// Concurrency is how many requests are in flight, a template; default {{.concurrency}}, a setting.
	Concurrency string `yaml:"concurrency,omitempty" json:"concurrency,omitempty"`
	// Rate bounds the requests per second, a template; default none.
	Rate string `yaml:"rate,omitempty" json:"rate,omitempty"`
	// Expect are the statuses that are no failure; default 200 to 399.
	Expect []int `yaml:"expect,omitempty" json:"expect,omitempty"`
}

// Target is one request. All strings are templates.
type Target struct {
	Method  string            `yaml:"method,omitempty" json:"method,omitempty"`
	URL     string            `yaml:"url" json:"url"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
}

// Consume says how the work of a consumer is counted.
type Consume struct {
	// Counter is the name of a counter in the subject's metrics: one more is one item.
	Counter string `yaml:"counter,omitempty" json:"counter,omitempty"`
	// Upstream is the name of the upstream that is its queue, where it is held between waves. Without a counter one
	// request to it is one item.
	Upstream string `yaml:"upstream,omitempty" json:"upstream,omitempty"`
	// For is how long a wave may last at most; default 10s.
	For fault.Duration `yaml:"for,omitempty" json:"for,omitempty"`
}

// DefaultConcurrency is the value of the setting concurrency.
const DefaultConcurrency = "16"

// Placeholders are those that each request has beside the settings.
var Placeholders = []string{"n", "key", "size", "blob"}

// CommandEnv are the variables that a load command gets, by the placeholder that says the same in its arguments.
var CommandEnv = map[string]string{
	"addr": "MEMSOAK_ADDR", "n": "MEMSOAK_REQUESTS", "concurrency": "MEMSOAK_CONCURRENCY", "seed": "MEMSOAK_SEED",
	"key":  "MEMSOAK_KEY",
	"size": "MEMSOAK_SIZE",
}

// blob stands for {{.size}} bytes in a body.
const blob = "{{.blob}}"

// Check names the faults of a spec, and fills in defaults.
func (s *Spec) Check() error {
	kinds := 0
	for _, set := range []bool{len(s.Targets) > 0, len(s.Command) > 0, s.Consume != nil} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return fmt.Errorf("%w: it needs one of targets, command and consume", ErrInvalid)
	}
	if s.Concurrency == "" && s.Consume == nil {
		s.Concurrency = "{{.concurrency}}"
	}
	for i := range s.Targets {
		t := &s.Targets[i]
		if t.URL == "" {
			return fmt.Errorf("%w: targets[%d] has no url", ErrInvalid, i)
		}
		if t.Method == "" {
			t.Method = "GET"
		}
		if strings.Contains(t.URL, blob) {
			return fmt.Errorf("%w: targets[%d].url: %s belongs into a body; a URL may say {{.size}}", ErrInvalid, i, blob)
		}
	}
	if c := s.Consume; c != nil {
		if c.Counter == "" && c.Upstream == "" {
			return fmt.Errorf("%w: consume needs a counter of the subject's metrics or an upstream, its queue, to "+
				"count items by", ErrInvalid)
		}
		if c.For <= 0 {
			c.For = fault.Duration(10 * time.Second)
		}
	}
	for where, text := range s.Templates() {
		if _, err := template.New("").Parse(text); err != nil {
			return fmt.Errorf("%w: %s: %s", ErrInvalid, where, strings.TrimPrefix(err.Error(), "template: "))
		}
	}
	return nil
}

// Templates yields every template of the load with where it stands.
func (s *Spec) Templates() map[string]string {
	m := map[string]string{"concurrency": s.Concurrency, "rate": s.Rate}
	for i, a := range s.Command {
		m[fmt.Sprintf("command[%d]", i)] = a
	}
	for i, t := range s.Targets {
		at := fmt.Sprintf("targets[%d].", i)
		m[at+"method"], m[at+"url"], m[at+"body"] = t.Method, t.URL, t.Body
		for k, v := range t.Headers {
			m[at+"headers."+k] = v
		}
	}
	return m
}

// Uses says whether any template of the load, or of texts, uses a placeholder. It may say yes for a comment that names
// it, which costs no more than a few waves of sizes that nothing follows.
func (s *Spec) Uses(placeholder string, texts ...string) bool {
	for _, text := range s.Templates() {
		texts = append(texts, text)
	}
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, "."+placeholder) })
}

// Upstream is a service that the subject calls: its address, or what memsoak answers in its place.
type Upstream struct {
	// Address is http://host:port, https://host:port, grpc://host:port, grpcs://host:port or tcp://host:port.
	Address string
	Reply   *Reply
}

// Raw says whether the upstream speaks a protocol of which memsoak sees bytes alone.
func (u Upstream) Raw() bool { return strings.HasPrefix(u.Address, "tcp:") }

// Reply is what memsoak answers in place of an upstream. Size is a template, for {{.size}}.
type Reply struct {
	Status  int               `yaml:"status,omitempty" json:"status,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
	Size    string            `yaml:"size,omitempty" json:"size,omitempty"`
	Delay   fault.Duration    `yaml:"delay,omitempty" json:"delay,omitempty"`
}

// upstreamMap is an upstream written as a map.
type upstreamMap struct {
	Address string `yaml:"address,omitempty" json:"address,omitempty"`
	Reply   *Reply `yaml:"reply,omitempty" json:"reply,omitempty"`
}

// UnmarshalYAML implements yaml.BytesUnmarshaler: an address, or a map with address or reply.
func (u *Upstream) UnmarshalYAML(text []byte) error {
	var address string
	if yaml.Unmarshal(text, &address) == nil {
		*u = Upstream{Address: address}
		return nil
	}
	var m upstreamMap
	if err := yaml.UnmarshalWithOptions(text, &m, yaml.Strict()); err != nil {
		return err
	}
	*u = Upstream(m)
	return nil
}

// MarshalYAML implements yaml.InterfaceMarshaler.
func (u Upstream) MarshalYAML() (any, error) {
	if u.Reply == nil {
		return u.Address, nil
	}
	return upstreamMap(u), nil
}

// Nested is the values as a template takes them: {{.upstream.NAME}} is a field of a field.
func Nested(values map[string]string) map[string]any {
	out := make(map[string]any, len(values))
	for k, v := range values {
		outer, inner, ok := strings.Cut(k, ".")
		if !ok {
			out[k] = v
			continue
		}
		m, _ := out[outer].(map[string]string)
		if m == nil {
			m = map[string]string{}
			out[outer] = m
		}
		m[inner] = v
	}
	return out
}
