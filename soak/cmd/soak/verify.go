package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/memsoak/memsoak/fakedrive/corpus"
	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/verify"
)

type verifyFlags struct {
	s3, bucket, prefix string
	corpus             string
	generation         uint64
	by                 string
	json               bool
}

// newVerifyCmd is `soak verify`.
func newVerifyCmd() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify [RUN]",
		Short: "Compare what is in the S3 sink with the corpus",
		Long: `Compare what is in the S3 sink with the corpus: every file present once, size and MD5 right, nothing extra.

With RUN, the directory of a run, what its trials left in the sink is checked. Waves that failed, and those of a trial
that was killed, may lack files; what is there must be right. With --s3, a running sink is checked.

Objects are matched with files by the Drive id in their metadata (drive-id) or, where they have none, by path.

Exit code: 0 all is right, 1 something is not, 3 there was nothing to check.`,
		Example: `  soak verify soak-results/latest
  soak verify --s3 http://127.0.0.1:9000 --bucket photos --prefix backup --corpus mixed --generation 1`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return runVerify(c, f, args) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.s3, "s3", "", "`URL` of the sink's admin protocol (its plain listener)")
	fl.StringVar(&f.bucket, "bucket", "", "`name` of the bucket, with --s3")
	fl.StringVar(&f.prefix, "prefix", "", "check only what is below this `prefix`, with --s3")
	fl.StringVar(&f.corpus, "corpus", "", "corpus that was copied, with --s3: a preset's `name` or the file of a spec")
	fl.Uint64Var(&f.generation, "generation", 0, "generation of the corpus, with --s3")
	fl.StringVar(&f.by, "by", "", "match objects by `id` or path; default: as the first object suggests")
	fl.BoolVar(&f.json, "json", false, "print the reports as JSON, one a line")
	return cmd
}

func runVerify(c *cobra.Command, f verifyFlags, args []string) error {
	if !slices.Contains([]verify.By{verify.Auto, verify.ByID, verify.ByPath}, verify.By(f.by)) {
		return exitcode.Usage(fmt.Errorf("--by: %q is neither id nor path", f.by))
	}
	out := &verifyPrinter{w: c.OutOrStdout(), json: f.json}
	var err error
	switch {
	case len(args) == 1 && f.s3 != "":
		return exitcode.Usage(errors.New("give a RUN or --s3, not both"))
	case len(args) == 1:
		err = verifyRun(c, f, args[0], out)
	case f.s3 != "":
		err = verifyLive(c, f, out)
	default:
		return exitcode.Usage(errors.New("give the directory of a run, or --s3; see 'soak verify --help'"))
	}
	switch {
	case err != nil:
		return err
	case out.wrong > 0:
		return exitcode.With(exitcode.Error, fmt.Errorf("%d of %d checks found differences", out.wrong, out.checks))
	case out.checked == 0:
		return exitcode.With(exitcode.Inconclusive,
			errors.New("nothing was checked: no files were expected, or the run has no record of its sink"))
	}
	return nil
}

// verifyLive checks a running sink.
func verifyLive(c *cobra.Command, f verifyFlags, out *verifyPrinter) error {
	if f.bucket == "" || f.corpus == "" {
		return exitcode.Usage(errors.New("--s3 needs --bucket and --corpus"))
	}
	spec, err := corpus.Load(f.corpus)
	if err != nil {
		return exitcode.Usage(err)
	}
	tree, err := corpus.New(spec, f.generation)
	if err != nil {
		return exitcode.Usage(err)
	}
	entries := verify.Below(verify.Live(c.Context(), f.s3, f.bucket, f.prefix), f.bucket, f.prefix)
	r, err := verify.Check(c.Context(), tree, f.prefix, entries, verify.By(f.by))
	if err != nil {
		return err
	}
	return out.print(f.bucket, r)
}

// verifyRun checks the records of all trials of a run.
func verifyRun(c *cobra.Command, f verifyFlags, dir string, out *verifyPrinter) error {
	if _, err := record.ReadRun(dir); err != nil {
		return exitcode.Usage(fmt.Errorf("%s is not a run: %w", dir, err))
	}
	trials, err := filepath.Glob(filepath.Join(dir, "cells", "*", "trial-*"))
	if err != nil {
		return err
	}
	for _, trial := range trials {
		waves, entries, err := verify.Recorded(trial)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a trial without a record: not counted, so a run without any is inconclusive
		}
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, trial)
		for _, w := range waves {
			tree, err := w.Tree()
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			r, err := verify.Check(c.Context(), tree, w.Prefix, verify.Below(entries, w.Bucket, w.Prefix), verify.By(f.by))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if w.Failed != "" {
				r.Forgive(w.Failed)
			}
			if err := out.print(name, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// verifyPrinter prints reports and counts them.
type verifyPrinter struct {
	w                      io.Writer
	json                   bool
	checks, checked, wrong int
}

func (p *verifyPrinter) print(where string, r *verify.Report) error {
	p.checks++
	if r.Files > 0 {
		p.checked++
	}
	if len(r.Counts) > 0 {
		p.wrong++
	}
	if p.json {
		return json.NewEncoder(p.w).Encode(struct {
			Where string `json:"where"`
			OK    bool   `json:"ok"`
			*verify.Report
		}{where, r.OK(), r})
	}
	verdict := "ok"
	if len(r.Counts) > 0 {
		verdict = "DIFFERENT"
	}
	matched := ""
	if r.By != "" { // something was there to match
		matched = fmt.Sprintf(", matched by %s", r.By)
	}
	fmt.Fprintf(p.w, "%-9s %s %s: %s files, %s objects, %s%s\n", verdict, where, r.Prefix,
		units.Comma(r.Files), units.Comma(r.Objects), units.FormatBytes(int64(r.Bytes)), matched)
	for _, note := range r.Notes() {
		fmt.Fprintln(p.w, "   ", note)
	}
	for _, x := range r.Problems {
		fmt.Fprintf(p.w, "    %s: key %q, id %s: %s\n", x.Kind, x.Key, x.ID, x.Detail)
	}
	return nil
}
