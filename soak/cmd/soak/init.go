package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// draftFlags are the known facts of a service.
type draftFlags struct {
	url, method, body, load, consume string
	env, upstreams, headers          []string
}

func (f *draftFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.url, "url", "",
		"a request that the service answers, with {{.key}}, {{.n}}, {{.size}} (default: its\n"+
			"root, where it listens at one address)")
	fl.StringVar(&f.method, "method", "", "the request's method (default GET)")
	fl.StringVar(&f.body, "body", "", "the request's body, with {{.key}}, {{.blob}}")
	fl.StringArrayVar(&f.headers, "header", nil, "a header of the request, 'Name: value'; may be repeated")
	fl.StringVar(&f.load, "load", "",
		"a `command` that makes the requests in memsoak's place, as of gRPC, with {{.addr}},\n{{.n}} and {{.concurrency}}")
	fl.StringVar(&f.consume, "consume", "", "the upstream that is the queue of a service that fetches its work itself")
	fl.StringArrayVar(&f.env, "env", nil, "a variable of the service, NAME=value; may be repeated")
	fl.StringArrayVar(&f.upstreams, "upstream", nil,
		"a service that it calls, name=http://host:port, name=grpc://host:port or name=tcp://host:port, as it\n"+
			"stands in the command or in --env; may be repeated")
}

// draft is the service of the flags and of the arguments after --.
func (f *draftFlags) draft(args []string) (soak.Draft, error) {
	d := soak.Draft{Command: args, Env: f.env, URL: f.url, Method: f.method, Body: f.body, Upstreams: map[string]string{},
		Load: strings.Fields(f.load), Consume: f.consume, Headers: map[string]string{}}
	for _, u := range f.upstreams {
		name, at, ok := strings.Cut(u, "=")
		if !ok || !strings.Contains(at, "://") {
			return d, fmt.Errorf("--upstream %q: write name=http://host:port, name=grpc://host:port or name=tcp://host:port", u)
		}
		d.Upstreams[name] = at
	}
	for _, kv := range f.env {
		if name, _, ok := strings.Cut(kv, "="); !ok || name == "" {
			return d, fmt.Errorf("--env %q: write NAME=value", kv)
		}
	}
	for _, h := range f.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || name == "" {
			return d, fmt.Errorf("--header %q: write 'Name: value'", h)
		}
		d.Headers[name] = strings.TrimSpace(value)
	}
	if _, ok := d.Upstreams[f.consume]; f.consume != "" && !ok {
		return d, fmt.Errorf("--consume %q: give its address with --upstream %s=http://host:port", f.consume, f.consume)
	}
	return d, nil
}

func newInitCmd() *cobra.Command {
	var f draftFlags
	var out string
	cmd := &cobra.Command{
		Use:   "init [flags] -- COMMAND [ARG...]",
		Short: "Write a subject file for a service",
		Long: `Start a service once, find out where it listens and serves its profiles, and write a subject file for it.
Addresses that stand in the command or in --env become placeholders. 'soak subject check' tries the file,
'soak run --subject' uses it.`,
		Example: `  soak init --url 'http://127.0.0.1:9100/v1/quotes/{{.key}}' --env LISTEN=127.0.0.1:9100 \
    --env UPSTREAM_URL=http://127.0.0.1:9101 --upstream quotes=http://127.0.0.1:9101 -- ./bin/quoted`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return initSubject(cmd, f, out, args) },
	}
	f.register(cmd)
	cmd.Flags().StringVar(&out, "out", "", "the `file` to write (default COMMAND.yaml)")
	return cmd
}

func initSubject(cmd *cobra.Command, f draftFlags, out string, args []string) error {
	d, err := f.draft(args)
	if err != nil {
		return exitcode.Usage(err)
	}
	s, answer, err := d.Subject(cmd.Context())
	if errors.Is(err, soak.ErrConfig) {
		return exitcode.Usage(err)
	}
	if err != nil {
		return err
	}
	if out == "" {
		out = s.Name + ".yaml"
	}
	text, err := subjectText(s)
	if err != nil {
		return err
	}
	w, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return exitcode.Usage(fmt.Errorf("%s is there already; give another --out", out))
	}
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if answer != "" && !strings.HasPrefix(answer, "2") && !strings.HasPrefix(answer, "3") {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s was answered: %s. A --header, --method or --body may be missing, or "+
			"an upstream be down; a status that is right belongs into load.expect\n", d.URL, answer)
	}
	fmt.Fprintf(cmd.OutOrStdout(),
		"wrote %s. To try it, and to measure it:\n  soak subject check %s\n  soak run --subject %s --protocol quick\n", out,
		out, out)
	return nil
}

// subjectText is the subject file, without defaults.
func subjectText(s *subject.Spec) ([]byte, error) {
	short := *s
	short.Load = new(*s.Load)
	short.Load.Concurrency, short.Concurrency = "", ""
	short.Env = maps.Clone(s.Env)
	return yaml.Marshal(&short)
}
