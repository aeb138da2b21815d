package accuracy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/internal/accuracy/truth"
)

// TestReadmeShowsTheBaseline holds the README's table to the committed results.
func TestReadmeShowsTheBaseline(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(Baseline)))
	require.NoError(t, err)
	var r Report
	require.NoError(t, json.Unmarshal(b, &r))
	assert.Equal(t, Schema, r.Schema)
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	want, err := replaceTable(text, r.Markdown())
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text), "README.md and %s differ: make accuracy UPDATE=1 writes both", Baseline)
}

func TestUpdateWritesBaselineAndTable(t *testing.T) {
	root := t.TempDir()
	readme := filepath.Join(root, "README.md")
	require.NoError(t, os.WriteFile(readme, []byte("before\n"+tableBegin+"old\n"+tableEnd+"after\n"), 0o644))
	r := &Report{Schema: Schema, Trials: 4, Planned: 9, Seeds: 2, Protocol: "quick",
		Host: record.Host{CPUs: 2, Go: "go1.26"},
		Conditions: []Tally{
			{Condition: Quiet, Trials: 4, Faults: 3, Healthy: 1, Right: 2, Comfort: 1, Alarm: 1, NamedFirst: 2, Files: 3000,
				Seconds: 7.5, Limit: 60.25},
			{Condition: "passive", Faults: 30, Trials: 30, Inconclusive: 30, Again: 2, AgainRight: 1},
		}, Figures: []Figure{
			{Name: "right", Value: 99.5, Unit: "%", N: 4, Goal: 99},
			{Name: "  time", Value: 7, Unit: "s", N: 4, Goal: 6, AtMost: true},
			{Name: "none", Unit: "%", Goal: 95},
			{Name: "free", Value: 3, Unit: "s", N: 1, Info: true},
		}}
	require.NoError(t, Update(root, r))
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	assert.Equal(t, "before\n"+tableBegin+`4 of 9 planned trials: up to 2 seeds, each with a worker count of its own,
protocol quick, 2 CPUs, go1.26.

| condition | trials | right | comfort | rate | alarm | open | misnamed | culprit | killed | files | s | limit | again |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
| quiet | 4 | 2 | 1 of 3 | 33.3 % | 1 | 0 | 0 | 2 of 3 | 0 | 3000 | 7.5 | 60.2 | - |
| passive | 30 | 0 | 0 of 30 | 10 % | 0 | 30 | 0 | 0 of 30 | 0 | 0 | 0 | - | 1 of 2 right, 0 comfort |

`+tallyNote+`
| figure | measured | goal | observations |
|---|---|---|---|
| right | 99.5 % | >= 99 % | 4 |
| time | **7 s** | <= 6 s | 4 |
| none | **not measured** | >= 95 % | 0 |
| free | 3 s |  | 1 |
`+tableEnd+"after\n", string(text))
	assert.FileExists(t, filepath.Join(root, filepath.FromSlash(Baseline)))

	require.NoError(t, os.WriteFile(readme, []byte("nothing"), 0o644))
	assert.ErrorContains(t, Update(root, r), "no markers")
}

func TestScoredReportsWhatBuildsLeft(t *testing.T) {
	out := t.TempDir()
	plan := []Trial{{Truth: &truth.Truth{Name: "a"}, Condition: Condition{Name: Quiet}, Workers: 2, Seed: 1},
		{Truth: &truth.Truth{Name: "b"}, Condition: Condition{Name: Quiet}, Workers: 2, Seed: 1},
		{Truth: &truth.Truth{Name: "c"}, Condition: Condition{Name: Quiet}, Workers: 2, Seed: 1}}
	_, _, err := Scored(out, plan)
	assert.ErrorContains(t, err, "no verdict of the 3 planned trials")
	write := func(i int, build string) {
		path := scorePath(out, plan[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, record.Write(path, Score{Specimen: plan[i].Truth.Name, Build: build}))
	}
	write(0, "one")
	write(1, "one")
	scores, build, err := Scored(out, plan)
	require.NoError(t, err)
	assert.Equal(t, "one", build)
	assert.Len(t, scores, 2)
	write(2, "two")
	scores, build, err = Scored(out, plan)
	require.NoError(t, err)
	assert.Len(t, scores, 3)
	assert.Equal(t, "one+two", build, "in the order of the plan, none unnamed")
	r := &Report{Trials: 3, Planned: 3, Build: build}
	assert.Contains(t, r.Markdown(), "of 2 builds of the rules")
}
