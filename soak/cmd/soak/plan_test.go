package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/exitcode"
	"github.com/memsoak/memsoak/profiles/capacity"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/drawn"
)

func TestWhatATrialOfWorkersCannotRefuteIsNotVerified(t *testing.T) {
	for name, c := range map[string]struct {
		capacity record.Capacity
		counts   []int
	}{
		"an answer":                  {record.Capacity{MaxWorkers: 4}, []int{4, 5}},
		"a range":                    {record.Capacity{MaxWorkers: 4, Perhaps: 9}, []int{4}},
		"a lower bound":              {record.Capacity{MaxWorkers: 4, AtLeast: true}, []int{4}},
		"not even one":               {record.Capacity{MaxWorkers: -1}, []int{1}},
		"the files don't fit":        {record.Capacity{MaxWorkers: -1, Fits: &record.Fit{Files: 9}}, nil},
		"how many files fit is open": {record.Capacity{MaxWorkers: -1, FitsUnknown: "killed"}, nil},
		"nothing is known":           {record.Capacity{Estimate: 7}, nil},
		"it hangs on a size":         {record.Capacity{Estimate: 7, UntriedSize: true}, []int{7}},
		"workers that files fit on":  {record.Capacity{MaxWorkers: 2, Fits: &record.Fit{Files: 9}}, []int{2, 3}},
	} {
		counts, _ := toVerify(&c.capacity)
		assert.Equal(t, c.counts, counts, name)
	}
}

func TestAPlanThatLeavesAQuestionOpenIsInconclusive(t *testing.T) {
	assert.True(t, leavesOpen(&record.Capacity{}))
	assert.True(t, leavesOpen(&record.Capacity{MaxWorkers: -1, FitsUnknown: "killed with fewer"}))
	assert.True(t, leavesOpen(&record.Capacity{MaxWorkers: 4, Sizes: &record.Sizes{}}))
	assert.False(t, leavesOpen(&record.Capacity{MaxWorkers: -1, Fits: &record.Fit{Files: 9}}))
}

func TestARangeIsNarrowedToTheMostThatSurvive(t *testing.T) {
	for truth := 3; truth <= 9; truth++ {
		c := &record.Capacity{MaxWorkers: 4, Perhaps: 8, Limit: 1 << 30}
		tried := 0
		require.NoError(t, narrow(c, func(n int) error {
			outcome := record.OK
			if n > truth {
				outcome = record.OOMKilled
			}
			capacity.Verify(c, record.HeldTrial{Workers: n, Outcome: outcome})
			tried++
			return nil
		}))
		assert.Equal(t, min(max(truth, 4), 8), c.MaxWorkers)
		assert.Equal(t, truth >= 8, c.AtLeast, "nothing says that more than %d are killed", c.MaxWorkers)
		assert.LessOrEqual(t, tried, 9)
	}
	broken := errors.New("no cgroup")
	assert.ErrorIs(t, narrow(&record.Capacity{Perhaps: 3}, func(int) error { return broken }), broken)
}

func TestVerifyingAServiceNamesTheRunThatDoes(t *testing.T) {
	c := &record.Capacity{MaxWorkers: 40, Limit: 64 << 20, Words: record.Words{Item: record.ItemRequest, InFlight: true},
		At: []record.CapacityStep{{Workers: 40}}}
	err := verifyCapacity(newPlanCmd(), t.TempDir(), c, planOptions{})
	assert.ErrorContains(t, err, "soak run --set concurrency=40 --limit 64MiB --subject FILE")
	assert.Equal(t, exitcode.UsageError, exitcode.Of(err))
	assert.Contains(t, newPlanCmd().Long, "--verify is refused (exit code 2)")
	var out strings.Builder
	writeCapacity(&out, c)
	assert.Contains(t, out.String(), "in flight          peak")
	assert.NotContains(t, out.String(), "workers")
}

func TestPlanWithoutALimitSaysTheSmallestForWorkers(t *testing.T) {
	dir := t.TempDir()
	r, err := drawn.Read("../../../profiles/testdata/recordings", "coarse-ok-plain")
	require.NoError(t, err)
	r.SetWorkers("4")
	_, err = drawn.WriteRun(dir, 2<<30, r)
	require.NoError(t, err)
	said := func(code int, args ...string) string {
		var out, errs strings.Builder
		assert.Equal(t, code, run(append([]string{"plan", dir}, args...), &out, &errs), "%s", errs.String())
		return strings.Join(strings.Fields(out.String()+errs.String()), " ") // sentences are wrapped
	}
	assert.Contains(t, said(exitcode.UsageError), "--limit is missing: a size such as 2Gi; or --workers")
	var c record.Capacity
	require.NoError(t, json.Unmarshal([]byte(said(0, "--workers", "4", "--json")), &c))
	assert.Equal(t, 4, c.Smallest.Workers)
	limit := fmt.Sprintf("%dMiB", c.Limit>>20)
	text := said(0, "--workers", "4")
	assert.Contains(t, text, "The smallest limit that is safe for 4 workers")
	assert.Contains(t, text, " is "+limit+" with GOMEMLIMIT=")
	assert.Contains(t, text, "assumes:")
	assert.Contains(t, said(0, "--limit", limit), "The size of files doesn't bind with 4 workers")
	assert.Contains(t, said(exitcode.Inconclusive, "--workers", "9"), "The smallest limit for 9 workers is not known: 4 "+
		"workers were the most of a sound trial")
	assert.Contains(t, said(exitcode.Inconclusive, "--workers", "9", "--limit", "2Gi"), "How large files may be with 9 "+
		"workers is not known")
}

func TestThePlansSentencesFitThePage(t *testing.T) {
	long := strings.TrimSpace(strings.Repeat("as many words as an answer has ", 8))
	var out strings.Builder
	writeCapacity(&out, &record.Capacity{Answer: []string{long}, Assumes: []string{long}, Warnings: []string{long}})
	for _, line := range strings.Split(out.String(), "\n") {
		assert.LessOrEqual(t, len(line), 100, line)
	}
	assert.Regexp(t, `^as many [^\n]*\n  \w[^\n]*\n  \w`, out.String(), "later lines have an indent")
	assert.Equal(t, 3, strings.Count(strings.Join(strings.Fields(out.String()), " "), long), "no word is lost")
}
