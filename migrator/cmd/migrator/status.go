package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/migrator/wire"
)

func newStatusCmd() *cobra.Command {
	var stateDir string
	var asJSON bool
	var b brokerFlags
	cmd := &cobra.Command{
		Use:   "status [flags]",
		Short: "Show the migrations of this machine, or the one in a queue on a broker",
		Example: "  migrator status\n  migrator status --state-dir /var/lib/migrator --json\n  migrator status --queue " +
			"redis://127.0.0.1:6379/0\n  migrator status --queue amqp://guest:guest@127.0.0.1:5672",
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := b.fromEnv(c); err != nil {
				return err
			}
			if b.url != "" {
				return b.status(c, asJSON)
			}
			if stateDir == "" {
				dir, err := defaultStateDir()
				if err != nil {
					return err
				}
				stateDir = dir
			}
			jobs, err := readJobs(stateDir)
			if err != nil {
				return err
			}
			if asJSON {
				for _, j := range jobs {
					if err := json.NewEncoder(c.OutOrStdout()).Encode(j); err != nil {
						return err
					}
				}
				return nil
			}
			if len(jobs) == 0 {
				fmt.Fprintln(c.OutOrStdout(), "no migrations in", stateDir)
				return nil
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tSTATE\tFROM -> TO\tFOUND\tCOPIED\tUNCHANGED\tUNAVAILABLE\tFAILED\tBYTES")
			for _, j := range jobs {
				t := j.Totals
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", j.ID, j.State, j.what(), t.Files, t.Copied, t.Skipped,
					t.Unavailable, t.Failed,
					units.FormatBytes(max(t.Bytes, 0)))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&stateDir, "state-dir", "", "where migrations are kept (default ~/.local/state/migrator)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a line of JSON for each")
	b.addFlags(cmd.Flags())
	return cmd
}

// status prints how far the migration in a broker's queue is, over all processes.
func (b *brokerFlags) status(c *cobra.Command, asJSON bool) (err error) {
	q, err := b.open(c.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	st, err := q.Status(c.Context())
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(st)
	}
	return printStatus(c.Context(), c.OutOrStdout(), q, &st)
}

// readJobs reads the records of all jobs below a state directory. Those that have a queue are counted from it.
func readJobs(stateDir string) ([]job, error) {
	files, err := filepath.Glob(filepath.Join(stateDir, "*", jobFile))
	if err != nil {
		return nil, err
	}
	var jobs []job
	for _, f := range files {
		j, err := readJob(f)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// readJob reads a job's file. A job with a queue is counted from it; one that ended without writing so was interrupted.
func readJob(file string) (j job, err error) {
	b, err := bounded.ReadFile(file, bounded.RunFile)
	if err != nil {
		return j, err
	}
	if err := json.Unmarshal(b, &j); err != nil {
		return j, fmt.Errorf("%s: %w", file, err)
	}
	t, inUse, err := wire.PeekQueue(filepath.Join(filepath.Dir(file), queueDir))
	switch {
	case err == nil:
		j.Totals = t
	case !errors.Is(err, os.ErrNotExist):
		j.State, j.Error = "damaged", err.Error()
	}
	if j.State == "running" && !inUse {
		j.State = "interrupted"
	}
	return j, nil
}
