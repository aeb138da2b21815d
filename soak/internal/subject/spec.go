// Package subject knows the process under test: the contract of subject.yaml, how to start the command it describes
// with a trial's settings filled in, how to give it a wave, and how to end it whatever it does. It knows nothing of
// experiments or of cgroups beyond being handed one.
package subject

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/goccy/go-yaml"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/soak/internal/attach"
	"github.com/memsoak/memsoak/soak/internal/load"
)

// ErrInvalid is returned, wrapped with the reason, for a subject that breaks the contract.
var ErrInvalid = errors.New("invalid subject")

// Exit is the word for Spec.Wave of a one-shot command: the process runs one wave and exits.
const Exit = "exit"

// Spec is subject.yaml. All strings but Name, Module and Concurrency are templates over the placeholders.
type Spec struct {
	Name    string            `yaml:"name"`
	Command []string          `yaml:"command"`
	Env     map[string]string `yaml:"env,omitempty"`
	// PassEnv names variables that the subject inherits besides the few that every subject does.
	PassEnv []string `yaml:"pass_env,omitempty"`
	// User is the account that the subject runs as, where memsoak runs as root; "" is memsoak's own.
	User    string `yaml:"user,omitempty"`
	Pprof   string `yaml:"pprof"`
	Metrics string `yaml:"metrics,omitempty"`
	Ready   string `yaml:"ready,omitempty"`
	Wave    Wave   `yaml:"wave,omitempty"`
	// Addr is the host:port of a subject whose listening address can't be set; default: a free one, {{.addr}}.
	Addr string `yaml:"addr,omitempty"`
	// Load is the work of a service, in place of Wave.
	Load *load.Spec `yaml:"load,omitempty"`
	// Upstreams are the services that a service calls, by the name of their placeholder {{.upstream.NAME}}.
	Upstreams map[string]load.Upstream `yaml:"upstreams,omitempty"`
	Module    string                   `yaml:"module,omitempty"`
	// Settings are defaults of placeholders, which axes and --set override.
	Settings map[string]string `yaml:"settings,omitempty"`
	// Concurrency names the setting for the number of concurrent transfers; default "workers". Where the subject
	// has no such setting the number is found by holding a wave.
	Concurrency string `yaml:"concurrency,omitempty"`
	// Files are written into a temporary directory, {{.dir}}, before each start: name to content.
	Files map[string]string `yaml:"files,omitempty"`
	// Attach is the process where it runs already; nil starts Command. Then of all templates only those of the load, Ready
	// and Metrics are expanded.
	Attach *attach.Target `yaml:"-" json:"-"`
	// Build is the command that builds the subject for --subject-ref, run in a checkout of the revision. It puts
	// its binary where command[0] says.
	Build []string `yaml:"build,omitempty"`
}

// Wave is how the subject is given work.
type Wave struct {
	Exit    bool              `yaml:"-"`
	Method  string            `yaml:"method,omitempty"`
	URL     string            `yaml:"url,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty"`
	// Start and Poll are for work that is answered before it is done: Start is the request, and the wave ends when Poll
	// says so.
	Start *Wave `yaml:"start,omitempty"`
	Poll  *Poll `yaml:"poll,omitempty"`
}

// UnmarshalYAML implements yaml.BytesUnmarshaler: the word exit, or a request.
func (w *Wave) UnmarshalYAML(text []byte) error {
	var word string
	if yaml.Unmarshal(text, &word) == nil {
		if word != Exit {
			return fmt.Errorf("wave is a request or the word exit, not %q", word)
		}
		*w = Wave{Exit: true}
		return nil
	}
	type plain Wave
	return yaml.UnmarshalWithOptions(text, (*plain)(w), yaml.Strict())
}

// MarshalYAML implements yaml.InterfaceMarshaler.
func (w Wave) MarshalYAML() (any, error) {
	if w.Exit {
		return Exit, nil
	}
	type plain Wave
	return plain(w), nil
}

// Builtin are the placeholders that the runner fills in; all others are settings.
var Builtin = append([]string{"addr", "drive_url", "s3_url", "bucket", "root", "prefix", "ca_file", "proxy_url", "dir",
	"upstream", "seed", "reply"}, load.Placeholders...)

// Parse reads a subject from YAML and checks it; errors have line and column where the YAML is at fault.
func Parse(text []byte) (*Spec, error) {
	s := new(Spec)
	if err := bounded.Decode(text, bounded.Config, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

// Load reads a subject file.
func Load(path string) (*Spec, error) {
	b, err := bounded.ReadFile(path, bounded.Config)
	if err != nil {
		return nil, err
	}
	s, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Check says what breaks the contract, and fills in defaults.
func (s *Spec) Check() error {
	if st := s.Wave.Start; st != nil && s.Wave.URL == "" {
		s.Wave.Method, s.Wave.URL, s.Wave.Headers, s.Wave.Body = st.Method, st.URL, st.Headers, st.Body
	}
	switch {
	case s.Name == "":
		return fmt.Errorf("%w: it has no name", ErrInvalid)
	case strings.ContainsAny(s.Name, "/\\ \t\n"):
		return fmt.Errorf("%w: name %q has a slash or a space, and becomes part of file names", ErrInvalid, s.Name)
	case len(s.Command) == 0 || s.Command[0] == "":
		return fmt.Errorf("%w: it has no command", ErrInvalid)
	case s.Pprof == "":
		return fmt.Errorf("%w: it has no pprof, the URL of net/http/pprof", ErrInvalid)
	case s.Load == nil && !s.Wave.Exit && s.Wave.URL == "":
		return fmt.Errorf("%w: wave needs a url, or is the word exit; a service has a load instead", ErrInvalid)
	}
	if err := s.checkService(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if s.Concurrency == "" {
		s.Concurrency = s.defaultConcurrency()
	}
	if s.Wave.Method == "" && !s.Wave.Exit && s.Load == nil {
		s.Wave.Method = "POST"
	}
	for where, text := range s.templates() {
		if _, err := parseTemplate(text); err != nil {
			return fmt.Errorf("%w: %s: %s", ErrInvalid, where, strings.TrimPrefix(err.Error(), "template: "))
		}
	}
	for name := range s.Files {
		if name == "" || strings.ContainsAny(name, "/\\") || name == ".." {
			return fmt.Errorf("%w: files: %q is not the name of a file", ErrInvalid, name)
		}
	}
	if err := s.checkEnv(); err != nil {
		return err
	}
	return s.checkURLs()
}

func (s *Spec) checkURLs() error {
	sample := map[string]string{}
	for _, p := range s.Placeholders() {
		sample[p] = "1"
	}
	for name, text := range map[string]string{"pprof": s.Pprof, "metrics": s.Metrics, "ready": s.Ready,
		"wave.url": s.Wave.URL} {
		if text == "" {
			continue
		}
		v, err := Expand(text, sample)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
		}
		if u, err := url.Parse(v); err != nil || u.Scheme == "" || u.Host == "" {
			return fmt.Errorf("%w: %s: %q is not a URL", ErrInvalid, name, text)
		}
	}
	return nil
}

// templates yields every template of the spec with where it stands.
func (s *Spec) templates() map[string]string {
	m := map[string]string{"pprof": s.Pprof, "metrics": s.Metrics, "ready": s.Ready,
		"wave.method": s.Wave.Method, "wave.url": s.Wave.URL, "wave.body": s.Wave.Body}
	for i, a := range s.Command {
		m[fmt.Sprintf("command[%d]", i)] = a
	}
	for i, a := range s.Build {
		m[fmt.Sprintf("build[%d]", i)] = a
	}
	for k, v := range s.Env {
		m["env."+k] = v
	}
	for k, v := range s.Files {
		m["files."+k] = v
	}
	for k, v := range s.Wave.Headers {
		m["wave.headers."+k] = v
	}
	s.serviceTemplates(m)
	return m
}

// Placeholders lists the names that the templates use, sorted.
func (s *Spec) Placeholders() []string {
	seen := map[string]bool{}
	for _, text := range s.templates() {
		t, err := template.New("").Parse(text)
		if err != nil || t.Tree == nil {
			continue
		}
		fields(t.Tree.Root, seen)
	}
	return slices.Sorted(maps.Keys(seen))
}

// SettingNames lists the placeholders that are settings: those that the runner doesn't fill in itself.
func (s *Spec) SettingNames() []string {
	seen := map[string]bool{}
	for _, p := range s.Placeholders() {
		seen[p] = true
	}
	for k := range s.Settings {
		seen[k] = true
	}
	for _, b := range Builtin {
		delete(seen, b)
	}
	return slices.Sorted(maps.Keys(seen))
}

// fields collects the names of the fields of the dot that the node n uses.
func fields(n parse.Node, seen map[string]bool) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			fields(c, seen)
		}
	case *parse.ActionNode:
		fields(n.Pipe, seen)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, c := range n.Cmds {
			for _, a := range c.Args {
				fields(a, seen)
			}
		}
	case *parse.FieldNode:
		seen[n.Ident[0]] = true
	case *parse.IfNode:
		branch(&n.BranchNode, seen)
	case *parse.RangeNode:
		branch(&n.BranchNode, seen)
	case *parse.WithNode:
		branch(&n.BranchNode, seen)
	}
}

func branch(n *parse.BranchNode, seen map[string]bool) {
	fields(n.Pipe, seen)
	fields(n.List, seen)
	fields(n.ElseList, seen)
}

// parseTemplate reads a template that can neither run for long nor make much text.
func parseTemplate(text string) (*template.Template, error) {
	if len(text) > int(bounded.Template.Bytes) {
		return nil, fmt.Errorf("%w: a template has at most %d bytes", bounded.ErrTooLarge, bounded.Template.Bytes)
	}
	t, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	return t, bounded.Tree(t.Root)
}

// Expand fills the placeholders of a template. A placeholder without a value is an error that names it.
func Expand(text string, values map[string]string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(bounded.Writer(&b, bounded.Expanded), load.Nested(values)); err != nil {
		used := map[string]bool{}
		fields(t.Tree.Root, used)
		for _, name := range slices.Sorted(maps.Keys(used)) {
			if _, ok := load.Nested(values)[name]; !ok {
				return "", fmt.Errorf("{{.%s}} has no value", name)
			}
		}
		return "", err
	}
	return b.String(), nil
}
