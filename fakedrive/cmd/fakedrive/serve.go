package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/fakedrive"
	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/fakedrive/fault/listen"
	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
)

// shutdownTime is how long requests may take to end when the server shuts down.
const shutdownTime = 3 * time.Second

// noCorpus is the --corpus of an empty My Drive.
const noCorpus = "none"

type serveFlags struct {
	fakedrive.Config
	corpus, faults, serviceAccount, state string
	more                                  []string
	jsonOut                               bool
	listen                                listen.Config
}

func newServeCmd() *cobra.Command {
	f := serveFlags{Config: fakedrive.DefaultConfig(), listen: listen.Config{Authority: "fakedrive"}}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a Drive until interrupted",
		Long: `Serve a synthetic Google Drive: over plain http, over TLS with an authority of its own, and through a CONNECT
proxy that leads Google's host names here and refuses all others, for clients that cannot be given another endpoint.

--corpus is what "root" (My Drive) shows: the name of a preset, a file with a spec, or none for an empty Drive.
More trees can be asked for at run time: POST /_fake/v1/roots on the plain listener, where holds, faults and
counters are reached as well, and /metrics.`,
		Example: `  fakedrive serve --corpus tiny --listen 127.0.0.1:8080
  fakedrive serve --corpus mixed --proxy-listen 127.0.0.1:8081 --ca-file ca.pem --h2
  fakedrive serve --corpus small --listen 127.0.0.1:0 --addr-file addr.json --faults faults.yaml`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			return serve(c.Context(), f, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.corpus, "corpus", "tiny", "the tree of My Drive: a preset's name, a file, or none")
	fl.StringArrayVar(&f.more, "add", nil, "another tree to serve, a shared drive if its spec says so (may be repeated)")
	fl.Uint64Var(&f.Generation, "generation", 0, "the generation of the trees: other ids, the same shape")
	fl.StringVar(&f.listen.HTTP, "listen", "127.0.0.1:0", "address of plain http and of the admin protocol")
	fl.StringVar(&f.listen.TLS, "tls-listen", "", "address of https")
	fl.StringVar(&f.listen.Proxy, "proxy-listen", "", "address of the CONNECT proxy")
	fl.StringVar(&f.listen.CAFile, "ca-file", "", "where to write the certificate of the authority")
	fl.StringVar(&f.listen.AddrFile, "addr-file", "",
		"where to write the addresses as JSON once listening, with a token that admin changes then need")
	fl.StringArrayVar(&f.listen.AdminHosts, "admin-host", nil,
		"a name, beside localhost, by which the admin protocol may be reached (may be repeated)")
	fl.BoolVar(&f.listen.H2, "h2", false, "offer HTTP/2 on https and through the proxy")
	fl.StringVar(&f.faults, "faults", "", "a file with a fault plan")
	fl.StringVar(&f.serviceAccount, "service-account", "", "where to write the key of a service account")
	fl.BoolVar(&f.RequireAuth, "require-auth", false, "refuse requests without a token")
	fl.DurationVar(&f.TokenTTL, "token-ttl", f.TokenTTL, "how long an access token lasts")
	fl.DurationVar(&f.PageTokenTTL, "page-token-ttl", f.PageTokenTTL, "how long a page token lasts")
	fl.StringVar(&f.state, "state", "", "a folder that keeps what clients write across restarts")
	fl.StringVar(&f.Dir, "dir", "", "a folder for uploaded contents while it runs (default: a temporary one)")
	fl.Var((*units.Bytes)(&f.MaxMemory), "max-memory",
		"how many bytes of uploaded contents are kept in memory; the rest are files")
	fl.Var((*units.Bytes)(&f.MaxDisk), "max-disk", "how many bytes of uploaded contents are kept in all")
	fl.IntVar(&f.MaxFiles, "max-files", f.MaxFiles, "how many files clients may create or change")
	fl.BoolVar(&f.ResourceKeys, "resource-keys", false, "demand resource keys for the files that are shared with the user")
	fl.Int64Var(&f.AbusiveEvery, "abusive-every", 0,
		"refuse every n-th binary file of a tree as malware, unless acknowledgeAbuse is set")
	fl.BoolVar(&f.jsonOut, "json", false, "print the addresses as JSON")
	return cmd
}

// loadCorpus finds a preset, or reads a file.
func loadCorpus(name string) (*corpus.Spec, error) {
	spec, err := corpus.Load(name)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	return spec, nil
}

func (f *serveFlags) config(log io.Writer) (fakedrive.Config, error) {
	cfg := f.Config
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	if cfg.State = f.state != ""; cfg.State {
		cfg.Dir = f.state
	}
	if f.state != "" && f.Dir != "" {
		return cfg, exitcode.Usage(errors.New("--state is a folder for contents already: leave --dir out"))
	}
	if (f.listen.TLS != "" || f.listen.Proxy != "") && f.listen.CAFile == "" {
		return cfg, exitcode.Usage(errors.New("--tls-listen and --proxy-listen need --ca-file, " +
			"or no client could trust them"))
	}
	var err error
	if f.corpus != noCorpus {
		if cfg.Corpus, err = loadCorpus(f.corpus); err != nil {
			return cfg, err
		}
	}
	for _, name := range f.more {
		spec, err := loadCorpus(name)
		if err != nil {
			return cfg, err
		}
		cfg.More = append(cfg.More, spec)
	}
	return cfg, nil
}

func serve(ctx context.Context, f serveFlags, stdout, stderr io.Writer) error {
	cfg, err := f.config(stderr)
	if err != nil {
		return err
	}
	srv, err := fakedrive.New(cfg)
	if err != nil {
		return err
	}
	defer srv.Close()
	if f.faults != "" {
		text, err := bounded.ReadFile(f.faults, bounded.Plan)
		if err != nil {
			return exitcode.Usage(fmt.Errorf("read the fault plan: %w", err))
		}
		if _, err := srv.Control().SetPlanText(text); err != nil {
			return exitcode.Usage(fmt.Errorf("%s: %w", f.faults, err))
		}
	}
	f.listen.Handler, f.listen.Control, f.listen.Hosts = srv, srv.Control(), fakedrive.Hosts()
	l, err := listen.Start(f.listen)
	if err != nil {
		return err
	}
	return l.Until(ctx, shutdownTime, func() error { return f.announce(srv, l, stdout) })
}

// announce says where the server listens, on stdout and in the files that were asked for.
func (f *serveFlags) announce(srv *fakedrive.Server, l *listen.Listeners, stdout io.Writer) error {
	a := l.Addresses
	if f.serviceAccount != "" {
		uri := a.HTTP + "/token"
		if a.Proxy != "" {
			uri = fakedrive.TokenURL
		}
		key, err := srv.ServiceAccountKey(uri)
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.serviceAccount, append(key, '\n'), 0o600); err != nil {
			return fmt.Errorf("write the service account's key: %w", err)
		}
	}
	if err := l.WriteFile(); err != nil {
		return err
	}
	if f.jsonOut {
		return json.NewEncoder(stdout).Encode(a)
	}
	for _, line := range [][2]string{{"http", a.HTTP}, {"https", a.HTTPS}, {"proxy", a.Proxy}, {"ca", a.CAFile}} {
		if line[1] != "" {
			fmt.Fprintf(stdout, "%-6s %s\n", line[0], line[1])
		}
	}
	return nil
}
