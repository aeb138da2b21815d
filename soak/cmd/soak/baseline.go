package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
)

func newBaselineCmd() *cobra.Command {
	return command.Group("baseline", "Keep a run's results for the gate to compare with", newBaselineAcceptCmd())
}

func newBaselineAcceptCmd() *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "accept RUN",
		Short: "Write a run's results as the new baseline",
		Long: `Write a run's results as a baseline: a small JSON file with every compared quantity of every trial, the host
and the versions, meant to be committed. A run that was interrupted, or with a cell without a conclusive verdict, is
refused.`,
		Example: `  soak baseline accept soak-results/latest
  soak baseline accept soak-results/latest --out profiles/baselines/migrator.json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := gate.LoadRun(filepath.Clean(args[0]))
			if err != nil {
				return exitcode.Usage(err)
			}
			b, err := gate.NewBaseline(run)
			if err != nil {
				return exitcode.With(exitcode.Inconclusive, err)
			}
			if out == "" {
				out = filepath.Join("profiles", "baselines", b.Subject+".json")
			}
			if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
				return err
			}
			if err := record.Write(out, b); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"baseline": out, "cells": len(b.Cells)})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %s accepted; compare with soak gate RUN --baseline %s\n", out,
				units.Count(len(b.Cells), "cell"), out)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE` (default profiles/baselines/<subject>.json)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what was written as JSON")
	return cmd
}
