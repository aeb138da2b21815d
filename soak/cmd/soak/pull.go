package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/internal/pyroscope"
)

// pullOptions are the flags that name profiles on a Pyroscope server.
type pullOptions struct{ server, query, from, until string }

func (o *pullOptions) flags(f *pflag.FlagSet) {
	f.StringVar(&o.server, "pyroscope", "", "URL of a Pyroscope server to fetch profiles from")
	f.StringVar(&o.query, "query", "",
		`with --pyroscope: a service, or labels of one process, such as {service_name="cart", pod="cart-1"}`)
	f.StringVar(&o.from, "from", "1h", "with --pyroscope: beginning, as a time (RFC 3339) or how long ago")
	f.StringVar(&o.until, "until", "0s", "with --pyroscope: end, as a time or how long ago")
}

// moment reads a time, or how long ago it was.
func moment(flag, s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, fmt.Errorf("--%s %q is neither a time such as 2026-11-29T10:00:00Z nor how long ago, such as 6h", flag, s)
	}
	return t, nil
}

// pull fetches the profiles into dir.
func (o *pullOptions) pull(ctx context.Context, dir string) ([]string, error) {
	if o.query == "" {
		return nil, exitcode.Usage(errors.New("--pyroscope needs --query: a service's name, or labels of one process"))
	}
	client, err := pyroscope.NewClient(o.server)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	q, err := pyroscope.ParseQuery(o.query)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	now := time.Now()
	for _, x := range []struct {
		to          *time.Time
		flag, value string
	}{{&q.From, "from", o.from}, {&q.Until, "until", o.until}} {
		if *x.to, err = moment(x.flag, x.value, now); err != nil {
			return nil, exitcode.Usage(err)
		}
	}
	if !q.From.Before(q.Until) {
		return nil, exitcode.Usage(fmt.Errorf("--from %s isn't before --until %s", o.from, o.until))
	}
	files, err := client.Pull(ctx, q, dir)
	if errors.Is(err, pyroscope.ErrQuery) {
		return nil, exitcode.Usage(err)
	}
	return files, err
}

// diagnosePulled diagnoses the profiles given, or fetched.
func diagnosePulled(c *cobra.Command, args []string, o diagnoseOptions) error {
	switch {
	case (o.server != "") == (len(args) > 0):
		return exitcode.Usage(errors.New("give directories or files of profiles, or --pyroscope URL and --query; " +
			"see 'soak diagnose --help'"))
	case o.server == "" && o.query != "":
		return exitcode.Usage(errors.New("--query goes with --pyroscope URL"))
	case o.server == "":
		return diagnose(c.Context(), c.OutOrStdout(), args, o)
	}
	dir, err := os.MkdirTemp("", "memsoak-pulled-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if args, err = o.pull(c.Context(), dir); err != nil {
		return err
	}
	return diagnose(c.Context(), c.OutOrStdout(), args, o)
}

// recordPulled fetches profiles into a directory of their own and says what grew.
func recordPulled(cmd *cobra.Command, o recordOptions) error {
	for _, name := range []string{"port", "metrics", "work", "every", "for", "gc", "name"} {
		if cmd.Flags().Changed(name) {
			return exitcode.Usage(fmt.Errorf("--%s says how a process is recorded; --pyroscope goes with --from and --until",
				name))
		}
	}
	dir := cmp.Or(o.out, filepath.Join("soak-results", time.Now().Format("20060102-150405")+"-pyroscope"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	files, err := o.pull(cmd.Context(), dir)
	if err != nil {
		_ = os.Remove(dir) // unless something is in it
		return err
	}
	d := diagnoseOptions{json: o.json}
	d.Module, d.PlannedFiles = o.Module, 1
	v, err := oneVerdict(files, false, d)
	if err != nil {
		return err
	}
	return show(cmd.OutOrStdout(), o.json, map[string]any{"dir": dir, "verdict": v}, func() {
		writeFirstScreen(cmd.OutOrStdout(), v)
		fmt.Fprintf(cmd.OutOrStdout(), "%d profiles in %s; 'soak diagnose %s' says this again\n", len(files), dir, dir)
	})
}
