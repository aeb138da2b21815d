package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/migrator"
	"github.com/memsoak/memsoak/migrator/wire"
)

// brokerFlags say where the queue is that several processes share.
type brokerFlags struct {
	url     string
	options wire.BrokerOptions
}

func (b *brokerFlags) addFlags(f *pflag.FlagSet) {
	b.options = wire.DefaultBrokerOptions()
	f.StringVar(&b.url, "queue", "",
		"URL of the broker, as in redis://user:password@host:6379/0 or amqp://user:password@host:5672/vhost; better set by "+
			"the environment")
	f.StringVar(&b.options.Name, "queue-name", b.options.Name,
		"name of the queue; migrations under different names share a broker")
}

// patienceOfALook is that of commands that look at a queue and end.
const patienceOfALook = 5 * time.Second

// fromEnv sets the flags that aren't given from the environment, for commands that have no other settings.
func (b *brokerFlags) fromEnv(c *cobra.Command) error {
	b.options.Patience = patienceOfALook
	for _, name := range []string{"queue", "queue-name"} {
		if v, ok := os.LookupEnv(envName(name)); ok && !c.Flags().Changed(name) {
			if err := c.Flags().Set(name, v); err != nil {
				return exitcode.Usage(err)
			}
		}
	}
	return nil
}

func (b *brokerFlags) open(ctx context.Context) (wire.Broker, error) {
	if b.url == "" {
		return nil, exitcode.Usage(fmt.Errorf("no queue: give --queue: %w", wire.ErrBrokerURL))
	}
	if err := b.options.Validate(); err != nil {
		return nil, exitcode.Usage(err)
	}
	q, err := wire.OpenBroker(ctx, b.url, b.options)
	if errors.Is(err, wire.ErrBrokerURL) {
		return nil, exitcode.Usage(err)
	}
	return q, err
}

// part is a process of a migration that is spread over several.
type part struct {
	*settings
	broker brokerFlags
	json   bool
	every  time.Duration
	listen string
	others time.Duration // to wait for another process; 0 is for ever
}

// addFlags adds the flags of a command, except those that mean nothing to it.
func (p *part) addFlags(c *cobra.Command, without ...string) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	p.addSides(all)
	p.addWork(all)
	skip := map[string]bool{"state-dir": true}
	for _, name := range without {
		skip[name] = true
	}
	f := c.Flags()
	all.VisitAll(func(fl *pflag.Flag) {
		if !skip[fl.Name] {
			f.AddFlag(fl)
		}
	})
	p.broker.addFlags(f)
	f.DurationVar(&p.broker.options.Lease, "lease", p.broker.options.Lease,
		"others take over what a process has when it gave no sign of life for as long")
	f.Int64Var(&p.broker.options.Deliveries, "deliveries", p.broker.options.Deliveries,
		"how often an item is handed out before it is given up as the death of its processes")
	f.DurationVar(&p.broker.options.Patience, "queue-patience", p.broker.options.Patience,
		"how long to wait for a broker that has become unreachable")
	f.BoolVar(&p.json, "json", false, "print events and the summary as lines of JSON")
	f.DurationVar(&p.every, "progress-interval", 10*time.Second, "time between lines of progress without a terminal")
	f.DurationVar(&p.others, "others-within", 15*time.Minute,
		"end when nothing goes on without another process, and none came for as long: one that begins the migration, or "+
			"with\n"+
			"discover --wait one that uploads; 0 waits for ever, as --stay does")
	f.StringVar(&p.listen, "listen", "", "address to serve /healthz, /metrics and /debug/pprof/ on; default none")
}

// working is what a part has open while it works.
type working struct {
	*part
	c      *cobra.Command
	engine *wire.Engine
	queue  wire.Broker
	hard   context.Context // ends work in progress
}

// run opens everything, does the work, and prints the summary.
func (p *part) run(c *cobra.Command, work func(*working) error) (err error) {
	e, err := wire.Open(c.Context(), p.wire)
	if err != nil {
		return exitcode.Usage(err)
	}
	defer e.Close()
	out := c.ErrOrStderr()
	if p.json {
		out = c.OutOrStdout()
	}
	p.copy.Stats = &migrator.Stats{}
	var queue atomic.Pointer[wire.Broker]
	shown := newProgress(out, p.json, p.every, p.copy.Stats, func() string { return p.waitsFor(queue.Load()) })
	defer shown.Close()
	p.copy.OnEvent = shown.event
	q, err := p.broker.open(c.Context())
	if err != nil {
		return err
	}
	queue.Store(&q)
	defer func() { err = errors.Join(err, q.Close()) }()
	stopProfiles, err := p.profile()
	if err != nil {
		return exitcode.Usage(err)
	}
	defer stopProfiles()
	stopMonitor, err := monitor(p.listen, p.copy.Stats, c.ErrOrStderr())
	if err != nil {
		return exitcode.Usage(err)
	}
	defer stopMonitor()
	hard, cancel := hardStop(c.Context(), p.stopTimeout)
	defer cancel()
	err = work(&working{part: p, c: c, engine: e, queue: q, hard: hard})
	shown.Close()
	return errors.Join(err, p.summary(c, q))
}

// waitsFor says what the processes of a migration wait for; before the queue is open, for its broker.
func (p *part) waitsFor(q *wire.Broker) string {
	if q == nil {
		return "the broker of --queue doesn't answer yet"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	st, err := (*q).Status(ctx)
	return left(&st, err)
}

// left says what a queue still needs.
func left(st *wire.BrokerStatus, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case st.Done():
		return "the migration in the queue is done"
	}
	return fmt.Sprintf("%d files and %d pages of folders are left, %d processes are alive", st.Files, st.Folders,
		st.Workers)
}

// copier makes a Copier that ends gracefully when the command is asked to stop.
func (w *working) copier() (*migrator.Copier, func(), error) {
	c, err := migrator.New(w.copy, w.engine.Source, w.engine.Sink, w.queue)
	if err != nil {
		return nil, nil, exitcode.Usage(err)
	}
	stop := context.AfterFunc(w.c.Context(), c.Stop)
	return c, func() { stop() }, nil
}

// monitor serves what orchestrators and profilers ask a process for. The returned function ends it.
func monitor(addr string, s *migrator.Stats, out io.Writer) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "listening on http://%s\n", ln.Addr())
	srv := &http.Server{Handler: monitored(s), ReadHeaderTimeout: 30 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // it returns when closed
	}()
	return func() { srv.Close(); <-done }, nil
}

// summary prints how far the whole migration is. A queue that can't be reached is no further error.
func (p *part) summary(c *cobra.Command, q wire.Broker) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), 5*time.Second)
	defer cancel()
	st, err := q.Status(ctx)
	if err != nil {
		return nil
	}
	if p.json {
		b, err := json.Marshal(map[string]any{"event": "summary", "status": st})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s\n", b)
		return err
	}
	_ = printStatus(ctx, c.ErrOrStderr(), q, &st)
	return nil
}

// printStatus tells people how far a migration is over all its processes.
func printStatus(ctx context.Context, w io.Writer, q wire.Broker, st *wire.BrokerStatus) error {
	m, t := &st.Migration, &st.Totals
	state := "running"
	switch {
	case st.Done():
		state = "done"
	case st.Workers == 0:
		state = "interrupted"
	}
	fmt.Fprintf(w, "%s: %s -> %s/%s, all processes together\n", state, m.Root, m.Bucket, m.Prefix)
	fmt.Fprintf(w, "  %-12s %d of %d (%s)\n", "copied", t.Copied, t.Files, units.FormatBytes(max(t.Bytes, 0)))
	for _, l := range []struct {
		name string
		n    int64
	}{{"folders", t.Folders}, {"listed", t.Listed}, {"unchanged", t.Skipped}, {"left out", t.Filtered}, {"unavailable",
		t.Unavailable},
		{"failed", t.Failed}, {"pages left", st.Folders}, {"files left", st.Files}, {"processes", st.Workers}} {
		if l.n > 0 {
			fmt.Fprintf(w, "  %-12s %d\n", l.name, l.n)
		}
	}
	for _, o := range []migrator.Outcome{migrator.Unavailable, migrator.Failed} {
		parked, err := q.Parked(ctx, o, shown)
		if err != nil {
			return err
		}
		for _, p := range parked {
			fmt.Fprintf(w, "  %s: %s (%s): %s\n", o, p.Path, p.Reason, p.Detail)
		}
		if more := map[migrator.Outcome]int64{migrator.Unavailable: t.Unavailable,
			migrator.Failed: t.Failed}[o] - int64(len(parked)); more > 0 {
			fmt.Fprintf(w, "  ... and %d more %s\n", more, o)
		}
	}
	return nil
}
