package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/internal/report"
)

func newReportCmd() *cobra.Command {
	var asJSON bool
	var pictures string
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Write report.html and report.md of a recorded run",
		Long: `Write report.html and report.md into the directory of a recorded run, or of plain profiles of any names.

The page is self-contained: it works offline, from a CI artifact and on paper. A run that is damaged or was
interrupted is reported in part, and what is missing is named.

With --pictures the memory over time and the flame graph at the peak of the cell with the largest are drawn as SVG
files as well, for pages of your own.`,
		Example: `  soak report soak-results/latest
  soak report soak-results/latest --pictures docs/pictures
  soak report soak-results/latest --json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			from, clean, err := asRun(cmd.Context(), dir)
			if err != nil {
				return err
			}
			defer clean()
			run, err := report.Load(cmd.Context(), from)
			if err != nil {
				return exitcode.Usage(err)
			}
			if err := report.Generate(cmd.Context(), from, dir); err != nil {
				return err
			}
			if pictures != "" {
				if _, err := report.Pictures(run, pictures); err != nil {
					return err
				}
			}
			html, md := filepath.Join(dir, report.HTMLFile), filepath.Join(dir, report.MarkdownFile)
			if asJSON {
				ended, all := run.Done()
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{
					"html": html, "markdown": md, "cells": len(run.Cells), "trials": all, "trials_ended": ended,
					"problems": run.AllProblems(),
				})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", html, md)
			for _, p := range run.AllProblems() {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", p)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&pictures, "pictures", "", "draw memory.svg and flame.svg into this directory")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the paths and counts as JSON")
	return cmd
}
