package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/internal/waiting"
	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/remote"
)

func newMergeCmd() *cobra.Command {
	var out, endpoint string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "merge SHARD...",
		Short: "Join the shards of one run",
		Long: `Join recorded shards ('soak run --shard i/n') into one run, and write its verdict and report. A shard is a
directory, or s3://bucket/prefix as 'soak run --upload' wrote it; below a prefix there may be several.`,
		Example: `  soak merge shard-1 shard-2 --out soak-results/nightly
  soak merge s3://results/nightly --out soak-results/nightly`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			defer waiting.Say(cmd.ErrOrStderr(), "for the runs to be fetched and joined; S3 has 30s for each answer")()
			dirs, cleanup, err := remote.Fetch(cmd.Context(), args, remote.Options{Endpoint: endpoint})
			if err != nil {
				return err
			}
			defer cleanup()
			run, err := soak.Merge(out, dirs)
			if errors.Is(err, soak.ErrConfig) {
				return exitcode.Usage(err)
			}
			if err != nil {
				return err
			}
			if err := judgeTrials(out, run); err != nil {
				return err
			}
			if err := conclude(context.WithoutCancel(cmd.Context()), out, new(profiles.Judge)); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"dir": out, "cells": len(run.Status),
					"warnings": run.Warnings})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s of %s in %s\n", units.Count(len(run.Status), "cell"), units.Count(len(dirs),
				"shard"),
				out)
			for _, w := range run.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "directory of the joined run (required)")
	cmd.Flags().StringVar(&endpoint, "s3-endpoint", "", "base URL of the S3 service, default AWS")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	_ = cmd.MarkFlagRequired("out")
	return cmd
}
