package bisect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// history makes a repository with n commits and returns it with their hashes, oldest first.
func history(t *testing.T, n int) (repo string, revs []string) {
	t.Helper()
	repo = t.TempDir()
	run := func(args ...string) string {
		as := []string{"-c", "user.name=a", "-c", "user.email=a@example.com"}
		out, err := git(t.Context(), repo, append(as, args...)...)
		require.NoError(t, err)
		return out
	}
	run("init", "-q")
	for i := range n {
		require.NoError(t, os.WriteFile(filepath.Join(repo, "n"), fmt.Appendf(nil, "%d", i), 0o644))
		run("add", "n")
		run("commit", "-qm", fmt.Sprintf("change %d", i))
		revs = append(revs, run("rev-parse", "HEAD"))
	}
	return repo, revs
}

// badFrom judges by the commit's place in the history; skipped ones can't be judged.
func badFrom(revs []string, first int, skipped ...int) (func(context.Context, string) (Judgement, string, error),
	*int) {
	tests := 0
	at := map[string]int{}
	for i, r := range revs {
		at[r] = i
	}
	return func(_ context.Context, rev string) (Judgement, string, error) {
		tests++
		for _, s := range skipped {
			if at[rev] == s {
				return Skip, "does not build", nil
			}
		}
		if at[rev] >= first {
			return Bad, "leak", nil
		}
		return Good, "healthy", nil
	}, &tests
}

func TestTheFirstBadCommitIsFound(t *testing.T) {
	repo, revs := history(t, 20)
	for _, first := range []int{1, 7, 19} {
		test, tests := badFrom(revs, first)
		var seen []Step
		res, err := Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: "HEAD", Test: test,
			Progress: func(s Step) { seen = append(seen, s) }})
		require.NoError(t, err)
		assert.Equal(t, revs[first], res.First)
		assert.LessOrEqual(t, *tests, 8)
		assert.Equal(t, res.Steps, seen)
	}
	trees, err := git(t.Context(), repo, "worktree", "list")
	require.NoError(t, err)
	assert.NotContains(t, trees, "\n", "no worktree is left")
}

func TestWhatCannotBeJudgedIsSkipped(t *testing.T) {
	repo, revs := history(t, 12)
	test, _ := badFrom(revs, 9, 5, 6)
	res, err := Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[11], Test: test})
	require.NoError(t, err)
	assert.Equal(t, revs[9], res.First)

	test, _ = badFrom(revs, 6, 5, 6)
	res, err = Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[11], Test: test})
	require.NoError(t, err)
	assert.Empty(t, res.First)
	assert.ElementsMatch(t, []string{revs[5], revs[6], revs[7]}, res.Candidates)
}

func TestASearchGoesOnFromItsLog(t *testing.T) {
	repo, revs := history(t, 20)
	log := filepath.Join(t.TempDir(), "bisect.jsonl")
	test, _ := badFrom(revs, 13)
	stop := errors.New("interrupted")
	n := 0
	_, err := Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[19], Log: log, Test: func(ctx context.Context,
		rev string) (Judgement, string, error) {
		if n++; n > 4 {
			return Skip, "", stop
		}
		return test(ctx, rev)
	}})
	require.ErrorIs(t, err, stop)
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"rev":"torn`)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	test, tests := badFrom(revs, 13)
	res, err := Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[19], Log: log, Test: test})
	require.NoError(t, err)
	assert.Equal(t, revs[13], res.First)
	assert.Equal(t, len(res.Steps)-4, *tests, "the four judged revisions are not tested again")
}

func TestWrongEndsAreNamed(t *testing.T) {
	repo, revs := history(t, 5)
	test, _ := badFrom(revs, 0)
	_, err := Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[4], Test: test})
	assert.ErrorIs(t, err, ErrGoodIsBad)
	test, _ = badFrom(revs, 9)
	_, err = Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[4], Test: test})
	assert.ErrorIs(t, err, ErrBadIsGood)
	test, _ = badFrom(revs, 2, 4)
	_, err = Run(t.Context(), Options{Repo: repo, Good: revs[0], Bad: revs[4], Test: test})
	assert.ErrorIs(t, err, ErrUnjudged)
	_, err = Run(t.Context(), Options{Repo: repo, Good: "nowhere", Bad: revs[4], Test: test})
	assert.ErrorContains(t, err, "good revision nowhere")
}
