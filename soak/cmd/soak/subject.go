package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/command"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/subjects"
)

func newSubjectCmd() *cobra.Command {
	return command.Group("subject", "Check and show subject files", newSubjectCheckCmd(), newSubjectShowCmd())
}

func newSubjectShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME]",
		Short: "List the subjects that come with soak, or print one as a start for your own",
		Example: `  soak subject show
  soak subject show migrator > my.yaml`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, n := range subjects.Names() {
					fmt.Fprintln(cmd.OutOrStdout(), n)
				}
				return nil
			}
			text, ok := subjects.Get(args[0])
			if !ok {
				return exitcode.Usage(fmt.Errorf("no subject %q; 'soak subject show' lists them", args[0]))
			}
			_, err := cmd.OutOrStdout().Write(text)
			return err
		},
	}
}

func newSubjectCheckCmd() *cobra.Command {
	var sets, hosts []string
	var asJSON bool
	var fakedrive string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Start a subject, give it a tiny wave and say what is missing",
		Long: `Start a subject with its fakes, give it a wave of twenty files, and say in plain words what works, what is
missing and what is lost without it. FILE is a subject file or the name of a subject that comes with soak.

It exits 1 when something is missing without which the subject can't be measured.`,
		Example: `  soak subject check my.yaml
  soak subject check migrator --set workers=4 --json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			f := runFlags{subject: args[0], sets: sets}
			cfg, err := f.config()
			if err != nil {
				return exitcode.Usage(err)
			}
			plan, err := soak.NewPlan(cfg, soak.Shard{})
			if err != nil {
				return exitcode.Usage(err)
			}
			plan.Remote = hosts
			lines, err := soak.CheckSubject(cmd.Context(), plan, fakes.Options{Fakedrive: fakedrive})
			if err != nil {
				return err
			}
			return printCheck(cmd, plan, lines, asJSON)
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "a setting, name=value; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	cmd.Flags().StringVar(&fakedrive, "fakedrive", "", "path of the fakedrive program")
	cmd.Flags().StringArrayVar(&hosts, "allow-remote", nil,
		"a `host` outside this machine that an upstream may name; may be repeated")
	return cmd
}

func printCheck(cmd *cobra.Command, p *soak.Plan, lines []soak.CheckLine, asJSON bool) error {
	missing := 0
	for _, l := range lines {
		if !l.OK && l.Needed {
			missing++
		}
	}
	if asJSON {
		if err := json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"subject": p.Subject.Name, "ok": missing == 0,
			"checks": lines}); err != nil {
			return err
		}
	} else {
		printLines(cmd.OutOrStdout(), lines)
	}
	if missing > 0 {
		err := fmt.Errorf("subject %s can't be measured yet: %d of %d checks failed", p.Subject.Name, missing, len(lines))
		if asJSON {
			return exitcode.Quiet(exitcode.Error, err)
		}
		return err
	}
	if len(lines) == 0 {
		return errors.New("nothing was checked")
	}
	return nil
}

// printLines writes each check, with the evidence where something is missing.
func printLines(w io.Writer, lines []soak.CheckLine) {
	for _, l := range lines {
		mark := "ok      "
		switch {
		case !l.OK && l.Needed:
			mark = "MISSING "
		case !l.OK:
			mark = "lacks   "
		}
		fmt.Fprintf(w, "%s%s\n", mark, l.What)
		if l.Why != "" {
			fmt.Fprintf(w, "        %s\n", l.Why)
		}
		for _, e := range l.Evidence {
			fmt.Fprintf(w, "        | %s\n", e)
		}
	}
}
