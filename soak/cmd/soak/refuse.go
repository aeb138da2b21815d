package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// afterDash accepts arguments after -- alone: the command of a subject without a file.
func afterDash(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
		return fmt.Errorf("unexpected argument %q; a command to run stands after --", args[0])
	}
	return nil
}

// plan is the plan of the configuration, or of a command without a subject file.
func (f *runFlags) plan(cmd *cobra.Command, cfg soak.Config, shard soak.Shard, command []string) (*soak.Plan, error) {
	if f.attach != "" {
		return f.attachPlan(cmd, cfg, command)
	}
	if len(command) == 0 {
		d := f.draft
		if d.url+d.load+d.consume != "" || len(d.env)+len(d.upstreams)+len(d.headers) > 0 {
			return nil, exitcode.Usage(errors.New("--url, --header, --load, --consume, --env and --upstream describe a " +
				"command, which stands after --"))
		}
		plan, err := soak.NewPlan(cfg, shard)
		if err != nil {
			return nil, exitcode.Usage(err)
		}
		plan.Remote = f.remote
		return plan, nil
	}
	if f.subject != "" {
		return nil, exitcode.Usage(errors.New("--subject and a command after -- exclude each other"))
	}
	d, err := f.draft.draft(command)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	s, _, err := d.Subject(cmd.Context())
	if errors.Is(err, soak.ErrConfig) {
		return nil, exitcode.Usage(err)
	}
	if err != nil {
		return nil, err
	}
	if len(f.axes) == 0 { // the default matrix is one of a copier's settings
		cfg.Axes, cfg.Center = nil, nil
	}
	plan, err := soak.NewPlanFor(s, cfg, shard)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	plan.Remote = f.remote
	return plan, nil
}

// attachPlan is the plan of a process that runs already.
func (f *runFlags) attachPlan(cmd *cobra.Command, cfg soak.Config, command []string) (*soak.Plan, error) {
	for what, given := range map[string]bool{"a command after --": len(command) > 0, "--env": len(f.draft.env) > 0,
		"--upstream": len(f.draft.upstreams) > 0,
		"--load":     f.draft.load != "", "--consume": f.draft.consume != "",
		"--resume": f.resume, "--shard": f.shard != "", "--limit": f.limit != "",
		"--who-holds": f.whoHolds, "both --subject and --url": f.subject != "" && f.draft.url != ""} {
		if given {
			return nil, exitcode.Usage(fmt.Errorf("--attach takes a process as it runs: it excludes %s", what))
		}
	}
	d, err := f.draft.draft(nil)
	if err != nil {
		return nil, exitcode.Usage(err)
	}
	var s *subject.Spec
	if f.subject != "" {
		if s, err = soak.LoadSubject(f.subject); err != nil {
			return nil, exitcode.Usage(err)
		}
	}
	plan, closeIt, err := soak.Attach(cmd.Context(), f.attach, s, d, cfg, f.remote)
	if errors.Is(err, soak.ErrConfig) {
		err = exitcode.Usage(err)
	}
	f.detach = closeIt
	return plan, err
}

// refuse checks a subject before its run, and names missing parts. A subject that comes with soak, one that is built
// from a revision, and one that runs once are not checked.
func (f *runFlags) refuse(cmd *cobra.Command, p *soak.Plan) error {
	own := p.Subject.Load != nil
	if _, err := os.Stat(f.subject); err == nil && f.subject != "" {
		own = true
	}
	if !own || f.resume || p.Subject.Wave.Exit || p.Config.SubjectRef != "" || p.HasAxis("subject_ref") {
		return nil
	}
	lines, err := soak.CheckSubject(cmd.Context(), p, fakes.Options{Fakedrive: f.fakedrive})
	if err != nil {
		return err
	}
	var missing []soak.CheckLine
	for _, l := range lines {
		if !l.OK && l.Needed {
			missing = append(missing, l)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if f.force {
		for _, l := range missing {
			p.Warnings = append(p.Warnings, fmt.Sprintf("run by --force although its check fails: %s: %s", l.What, l.Why))
		}
		return nil
	}
	printLines(cmd.ErrOrStderr(), missing)
	return fmt.Errorf("subject %s can't be measured yet, see above; --force runs it all the same and marks the run",
		p.Subject.Name)
}
