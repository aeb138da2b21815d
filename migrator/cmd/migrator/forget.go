package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/migrator/wire"
)

func newForgetCmd() *cobra.Command {
	var b brokerFlags
	var unfinished bool
	cmd := &cobra.Command{
		Use:   "forget --queue URL [--queue-name NAME]",
		Short: "Remove a finished migration from a broker",
		Long: "Remove what a broker has of a finished migration: on Redis its keys, on RabbitMQ its queues. No process of " +
			"it should be\n" +
			"running. What was copied stays.",
		Example: "  migrator forget --queue redis://127.0.0.1:6379/0\n  migrator forget --queue " +
			"amqp://guest:guest@127.0.0.1:5672 --queue-name 2026 --unfinished",
		Args: command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if err := b.fromEnv(c); err != nil {
				return err
			}
			q, err := b.open(c.Context())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Close()) }()
			err = q.Forget(c.Context(), unfinished)
			if errors.Is(err, wire.ErrUnfinished) {
				return fmt.Errorf("%w: see 'migrator status', and remove it all the same with --unfinished", err)
			}
			return err
		},
	}
	b.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&unfinished, "unfinished", false, "remove the migration even if it isn't finished, or lost")
	return cmd
}
