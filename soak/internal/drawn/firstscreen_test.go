package drawn

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/report"
)

// firstScreenIsThePlan as the run was judged when it ended, and as `soak diagnose` judges it again.
func firstScreenIsThePlan(t *testing.T, s *sample) {
	require.NoError(t, report.Generate(context.Background(), s.dir))
	saysThePlan(t, s)
	said, err := exec.Command(s.program, "diagnose", s.dir).CombinedOutput()
	require.NoError(t, err, "%s", said)
	saysThePlan(t, s)
}

func saysThePlan(t *testing.T, s *sample) {
	c := s.plan(t, costs.Plan{Limit: s.limit})
	kept, err := record.ReadRunVerdict(s.dir)
	require.NoError(t, err)
	require.NotNil(t, kept.Capacity)
	assert.Equal(t, c.Answer, kept.Capacity.Answer, "soak plan and verdict.json")
	same := func(c *record.Capacity) []any {
		return []any{c.Limit, c.MaxWorkers, c.AtLeast, c.Perhaps, c.GOMEMLIMIT, c.Binds, c.Unknown, c.Decides, c.Estimate,
			c.KilledAt, c.Mended, c.Extrapolated, c.Without, c.At, c.Sizes, c.Settings}
	}
	assert.Equal(t, same(c), same(kept.Capacity), "soak plan and verdict.json")
	page, err := os.ReadFile(filepath.Join(s.dir, report.MarkdownFile))
	require.NoError(t, err)
	text := unescape(string(page))
	for _, line := range c.Answer {
		assert.Contains(t, text, unescape(line), "report.md")
	}
	html, err := os.ReadFile(filepath.Join(s.dir, report.HTMLFile))
	require.NoError(t, err)
	if c.MaxWorkers == 0 {
		assert.NotContains(t, string(html), "workers that fit</dt><dd>≥")
	}
}

// ledBy is a first line that names a cause, with its class.
var ledBy = regexp.MustCompile(`(?m)^\*\*.*\(([a-z-]+)( in \d+ of \d+ trials)?\)\*\*$`)

func firstScreenHasOneCause(t *testing.T, s *sample) {
	run, err := report.Load(t.Context(), s.dir)
	require.NoError(t, err)
	var page strings.Builder
	require.NoError(t, report.Markdown(&page, run))
	led := ledBy.FindStringSubmatch(page.String())
	if led == nil {
		return
	}
	class := record.Class(led[1])
	title, _, _ := strings.Cut(page.String(), "\n")
	assert.Contains(t, title, ": "+strings.ReplaceAll(string(class.Headline()), "-", " "), led[0])
	cures := unescape(report.Cure(class, "")) + "|" + unescape(report.Cure(class, record.ItemRequest))
	assert.Regexp(t, "What to do\\. ("+cures+")", unescape(page.String()), led[0])
}

// unescape takes Markdown's escapes out.
func unescape(text string) string {
	return strings.NewReplacer("\\", "", "&lt;", "<", "&gt;", ">", "`", "").Replace(text)
}

// TestAnOutcomeInDisputeIsNoEvidence has run.json or trial.json say that a sound trial was killed.
func TestAnOutcomeInDisputeIsNoEvidence(t *testing.T) {
	for name, inRun := range map[string]bool{record.RunFile: true, record.TrialFile: false} {
		r, err := Read(recordings, "coarse-ok-plain")
		require.NoError(t, err)
		dir := t.TempDir()
		v, err := WriteRun(dir, 2<<30, r)
		require.NoError(t, err)
		require.Positive(t, v.Capacity.MaxWorkers, v.Answer)
		status, own := record.OOMKilled, record.OK
		if !inRun {
			status, own = own, status
		}
		run, err := record.ReadRun(dir)
		require.NoError(t, err)
		run.Status[0].Trials[0].Outcome, r.Trial.Outcome = status, own
		require.NoError(t, record.Write(filepath.Join(dir, record.RunFile), run))
		at := trialDir(dir, run.Status[0].Cell, 1)
		require.NoError(t, record.Write(filepath.Join(at, record.TrialFile), r.Trial))
		said := fmt.Sprintf(`trial 1 ended as "%s" by run.json and as "%s" by its own record`, status, own)

		page := func() string {
			require.NoError(t, report.Generate(t.Context(), dir))
			text, err := os.ReadFile(filepath.Join(dir, report.MarkdownFile))
			require.NoError(t, err)
			return unescape(string(text))
		}
		stale := page()
		assert.Contains(t, stale, said, name)
		assert.NotContains(t, stale, v.Capacity.Answer[0], "%s: the answer was made of another outcome", name)
		assert.NotEqual(t, gate.Pass, judged(t, dir).Outcome, name)

		again, err := profiles.DiagnoseRun(dir, profiles.Options{})
		require.NoError(t, err)
		require.NoError(t, record.Write(filepath.Join(dir, record.VerdictFile), again))
		assert.Zero(t, again.Capacity.MaxWorkers, "%s: %v", name, again.Answer)
		assert.Empty(t, again.Cells, name)
		assert.Equal(t, 1, strings.Count(page(), said), name)
	}
}
