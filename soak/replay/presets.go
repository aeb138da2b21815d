package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak/replay/history"
)

func newPresetsCmd() *cobra.Command {
	var asJSON bool
	var scale int
	cmd := &cobra.Command{
		Use:     "presets",
		Short:   "List the versions with all their settings, and mark what is assumed",
		Example: "  replay presets\n  replay presets --scale 16 --json",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if scale < 1 {
				return exitcode.Usage(fmt.Errorf("--scale %d: want at least 1", scale))
			}
			if asJSON {
				return presetsJSON(c, scale)
			}
			return presetsText(c, scale)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&scale, "scale", 1, "divide sizes by this")
	return cmd
}

func presetsJSON(c *cobra.Command, scale int) error {
	type preset struct {
		Name     string            `json:"name"`
		Limit    int64             `json:"limit"`
		Happened string            `json:"happened"`
		Settings []history.Setting `json:"settings"`
	}
	out := []preset{}
	for _, p := range history.Presets() {
		out = append(out, preset{p.Name, int64(p.Limit.By(scale)), p.Happened, p.Settings(scale)})
	}
	enc := json.NewEncoder(c.OutOrStdout())
	enc.SetIndent("", " ")
	return enc.Encode(out)
}

// presetsText prints a column per version, since there are more settings than versions.
func presetsText(c *cobra.Command, scale int) error {
	all := history.Presets()
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	line := func(name string, value func(p history.Preset) string) {
		fmt.Fprint(w, name)
		for _, p := range all {
			fmt.Fprint(w, "\t", value(p))
		}
		fmt.Fprintln(w)
	}
	line("", func(p history.Preset) string { return p.Name })
	line("limit", func(p history.Preset) string { return p.Limit.By(scale).String() })
	for i, s := range all[0].Settings(scale) {
		line(s.Name, func(p history.Preset) string {
			s := p.Settings(scale)[i]
			if s.Assumed {
				return s.Value + " *"
			}
			return s.Value
		})
	}
	line("what happened", func(p history.Preset) string { return p.Happened })
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), "\n* assumed: the history doesn't tell it for this version")
	return err
}
