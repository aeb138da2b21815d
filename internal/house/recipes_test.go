package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/checkout"
)

// step is an edit that a recipe asks for: named is how the recipe names its place, empty for a further edit of the step
// before. Without an anchor the text is a new file.
type step struct{ named, file, anchor, text string }

// recipe is one of CONTRIBUTING.md's, followed literally, in an order in which its tests fail until the last step.
type recipe struct {
	title string
	steps []step
	test  []string // arguments of go test
	works func(t *testing.T, dir string)
}

// recipes add the axis malloc_arenas, the class timer-leak, the quantity trials and the reason newLimitExceeded.
var recipes = []recipe{
	{"A new axis", []step{
		{"`soak.runnerSettings`", "soak/config.go", `	"gogc":           checkGOGC,` + "\n",
			`	"malloc_arenas":  checkWhole(1, 64),` + "\n"},
		{"`soak/internal/trial.trial.environment`", "soak/internal/trial/trial.go", `"gomaxprocs": "GOMAXPROCS"`,
			`, "malloc_arenas": "MALLOC_ARENA_MAX"`},
		{"`soak/matrix_test.go`", "soak/matrix_test.go", `"limit": "lots",`, ` "malloc_arenas": "0",`},
		{"`soak/README.md`", "soak/README.md", "| `limit` | memory limit, as an axis |\n",
			"| `malloc_arenas` | arenas of the C library |\n"},
	}, []string{"./soak", "-run", "EachSetting"}, axisWorks},
	{"A new class", []step{
		{"`profiles/record.kinds`", "profiles/record/class.go", `Leak           Class = "leak"` + "\n",
			`	TimerLeak      Class = "timer-leak"` + "\n"},
		{"", "profiles/record/class.go", "{class: Leak, headline: HeadLeak, fault: true},\n",
			"	{class: TimerLeak, headline: HeadLeak, fault: true},\n"},
		{"", "README.md", "The classes below the headline are `leak`,", " `timer-leak`,"},
		{"`profiles/internal/classes.siteFinding`", "profiles/internal/classes/sites.go",
			"	j.Class, j.Site = t.Class, site.Site\n", timersRule},
		{"`profiles/internal/finding.Summarize`", "profiles/internal/finding/evidence.go", "	switch j.Class {\n",
			"	case record.TimerLeak:\n		return fmt.Sprintf(\"Timers of %s%s stay: %s per %s.\", name, at, size, per)\n"},
		{"", "soak/internal/report/advice.go", "var cures = map[record.Class]string{\n",
			"	record.TimerLeak: \"Stop the timers made here.\",\n"},
		{"", "profiles/internal/closure/hypotheses.go", "var hypotheses = []hypothesis{\n",
			`	{class: record.TimerLeak, per: "file", kind: byFloors, target: perItem, more: "waves of %s files"},` + "\n"},
		{"`soak/specimens/all/truth_test.go`", "soak/specimens/leaks/alarms.go", "", alarms},
		{"", "soak/specimens/leaks/doc.go", `{Name: "ok-afterfunc", Hooks: newExpiries(true)},` + "\n",
			`{Name: "timer-alarm", Hooks: newAlarms(false)}, {Name: "ok-alarm", Hooks: newAlarms(true)},` + "\n"},
		{"", "soak/specimens/truth/timer-alarm.yaml", "", "summary: A timer of a day per transfer.\nheadline: leak\n" +
			"class: timer-leak\nfunction: leaks.alarm\nslope: {bytes: 128, per: [file], within: 0.1}\n"},
		{"", "soak/specimens/truth/ok-alarm.yaml", "", "summary: It is stopped.\nlike: timer-alarm\nheadline: healthy\n"},
		{"", "soak/specimens/all/truth_test.go", "	record.Leak:           checkLeak,\n",
			"	record.TimerLeak:      checkLeak,\n"},
	}, []string{"./profiles/record", "./profiles/internal/...", "./soak/internal/report", "./soak/specimens/all", "-run",
		"TestEvery|TestFaultsAreThere/timer-alarm"}, classWorks},
	{"A quantity of the gate", []step{
		{"`soak/gate.quantities`", "soak/gate/quantity.go", "help: \"number of findings\"},\n",
			"\t\"trials\": {unit: \"count\", help: \"number of trials\"},\n"},
		{"`soak/gate.Measure`", "soak/gate/quantity.go", "	q.setSpeed(c)\n",
			"	q.set(\"trials\", float64(len(c.Trials)), true, \"\")\n"},
		{"`soak/gate/README.md`", "soak/gate/README.md", "| `findings` | count | number of findings |\n",
			"| `trials` | count | number of trials |\n"},
	}, []string{"./soak/gate", "-run", "TestTheReadmeListsEveryQuantity"}, quantityWorks},
	{"A new Drive reason", []step{
		{"`fakedrive.usageReasons`", "fakedrive/errors.go", `"Daily Limit Exceeded"},` + "\n",
			`"newLimitExceeded": {http.StatusForbidden, "New Limit Exceeded"},` + "\n"},
		{"`migrator/internal/drive/drive_test.go`", "migrator/internal/drive/drive_test.go",
			`{403, "rateLimitExceeded", migrator.RateLimited},`, ` {403, "newLimitExceeded", migrator.RateLimited},`},
		{"`fakedrive/faults_test.go`", "fakedrive/faults_test.go", "reason, domain string\n	}{\n",
			`"{reason: newLimitExceeded}": {403, "newLimitExceeded", "usageLimits"},` + "\n"},
		{"`migrator/internal/drive.classify`", "migrator/internal/drive/errors.go", `"sharingRateLimitExceeded"`,
			`, "newLimitExceeded"`},
	}, []string{"./migrator/internal/drive", "./fakedrive", "-run", "TestClasses|TestFaultsAreGooglesErrors"}, nil},
}

// timersRule names the class of growth at a line that makes timers.
const timersRule = `	if t.Class == record.Leak && stack[0].Function == "time.newTimer" {
		j.Class = record.TimerLeak
	}
`

// alarms are the code of a specimen and of its look-alike.
const alarms = `package leaks

import (
	"context"
	"time"

	"github.com/memsoak/memsoak/soak/specimens/copier"
)

func newAlarms(fixed bool) func(*copier.Engine) copier.Hooks {
	return func(*copier.Engine) copier.Hooks {
		return copier.Hooks{Done: func(context.Context, *copier.Worker, copier.File) {
			if t := alarm(); fixed {
				t.Stop()
			}
		}}
	}
}

func alarm() *time.Timer {
	return time.AfterFunc(24*time.Hour, func() {}) // fault:timer-alarm
}
`

// TestRecipesAreFollowed follows recipes of CONTRIBUTING.md in a copy of the checkout.
func TestRecipesAreFollowed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "CONTRIBUTING.md"))
	require.NoError(t, err)
	for _, r := range recipes {
		_, own, there := strings.Cut(string(text), "**"+r.title)
		require.True(t, there, "CONTRIBUTING.md has no recipe %q", r.title)
		own, _, _ = strings.Cut(own, "\n\n")
		own, _, _ = strings.Cut(own, " **") // the next recipe of the same paragraph
		steps := 0
		for _, s := range r.steps {
			require.Contains(t, own, s.named, r.title)
			if s.named != "" {
				steps++
			}
			if s.anchor == "" {
				continue
			}
			source, err := os.ReadFile(filepath.Join(top, s.file))
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(source), s.anchor), "%s: %s has %q once", r.title, s.file, s.anchor)
		}
		require.Len(t, regexp.MustCompile(`\(\d\)`).FindAllString(own, -1), steps, "%s: its steps", r.title)
		require.LessOrEqual(t, steps, 5, r.title)
	}
	if os.Getenv("MEMSOAK_LONG") == "" {
		t.Skip("SKIPPED: following the recipes builds a copy of the checkout; MEMSOAK_LONG=1 does it")
	}
	root, err := checkout.Root(t.Context())
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, checkout.Copy(t.Context(), root, dir))
	for _, r := range recipes {
		for i, s := range r.steps {
			if i == len(r.steps)-1 {
				out, err := inCopy(t, dir, "go", append([]string{"test", "-trimpath"}, r.test...)...)
				require.Error(t, err, "%s: nothing misses its last step\n%s", r.title, out)
				require.Contains(t, out, "--- FAIL", r.title)
			}
			follow(t, dir, s)
		}
		out, err := inCopy(t, dir, "gofmt", "-w", "soak/config.go", "soak/gate", "fakedrive", "soak/internal", "profiles")
		require.NoError(t, err, out)
		out, err = inCopy(t, dir, "go", append([]string{"test", "-trimpath"}, r.test...)...)
		require.NoError(t, err, "%s: %s", r.title, out)
	}
	out, err := inCopy(t, dir, "go", "build", "-trimpath", "-o", "bin/", "./soak/cmd/soak", "./fakedrive/cmd/fakedrive",
		"./migrator/cmd/migrator", "./soak/specimens")
	require.NoError(t, err, out)
	for _, r := range recipes {
		if r.works != nil {
			r.works(t, dir)
		}
	}
}

// follow puts the text of a step behind its anchor, or into a new file.
func follow(t *testing.T, dir string, s step) {
	t.Helper()
	path := filepath.Join(dir, s.file)
	if s.anchor == "" {
		require.NoError(t, os.WriteFile(path, []byte(s.text), 0o600))
		return
	}
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	edited := strings.Replace(string(source), s.anchor, s.anchor+s.text, 1)
	require.NoError(t, os.WriteFile(path, []byte(edited), 0o600))
}

func inCopy(t *testing.T, dir, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "MEMSOAK_LONG=", "MEMSOAK_STATE_DIR="+filepath.Join(dir, "state"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// axisWorks plans and runs a cell of the new axis with the migrator, whose environment is noted.
func axisWorks(t *testing.T, dir string) {
	subject, err := os.ReadFile(filepath.Join(dir, "soak/subjects/migrator.yaml"))
	require.NoError(t, err)
	noted := strings.Replace(string(subject), `["bin/migrator",`,
		`["sh", "-c", "env > `+dir+`/environment; exec \"$0\" \"$@\"", "`+dir+`/bin/migrator",`, 1)
	require.NotEqual(t, string(subject), noted)
	for name, text := range map[string]string{"subject.yaml": noted, "protocol.yaml": `
name: short
trials: [attribution]
budget: 60s
settle: 50ms
phases:
  - {name: wave, kind: wave, times: 2, files: [{count: 5, size: 1KiB}]}
`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	run := []string{"run", "--subject", "subject.yaml", "--protocol", "protocol.yaml", "--axis", "malloc_arenas=2",
		"--out", "results"}
	out, err := inCopy(t, dir, "bin/soak", append(run, "--dry-run")...)
	require.NoError(t, err, out)
	require.Contains(t, out, "malloc_arenas=2")
	out, err = inCopy(t, dir, "bin/soak", "run", "--subject", "subject.yaml", "--axis", "malloc_arenas=65", "--dry-run")
	require.Error(t, err)
	require.Contains(t, out, "malloc_arenas=65: ")
	out, err = inCopy(t, dir, "bin/soak", run...)
	require.NoError(t, err, out)
	environment, err := os.ReadFile(filepath.Join(dir, "environment"))
	require.NoError(t, err)
	require.Contains(t, string(environment), "\nMALLOC_ARENA_MAX=2\n")
}

// classWorks judges the recordings again, of which none may lose a fault, then the specimen and its look-alike live.
func classWorks(t *testing.T, dir string) {
	out, err := inCopy(t, dir, "go", "test", "-trimpath", "./profiles", "-run", "Golden", "-update")
	require.NoError(t, err, out)
	out, err = inCopy(t, dir, "bin/soak", "run", "--subject", "soak/specimens/subject.yaml", "--protocol", "quick",
		"--set", "workers=4", "--axis", "specimen=timer-alarm,ok-alarm", "--out", "class")
	require.NoError(t, err, out)
	require.Contains(t, out, "(timer-leak in 1 of 2 trials)")
	require.Contains(t, out, "2 cells: 2 ok; 1 healthy, 1 leak;")
}

// quantityWorks holds the run of the axis to thresholds of the new quantity.
func quantityWorks(t *testing.T, dir string) {
	for threshold, want := range map[string]string{"trials = 1": "", "trials > 1": "exit status 99"} {
		out, err := inCopy(t, dir, "bin/soak", "gate", "results", "--threshold", threshold)
		if want == "" {
			require.NoError(t, err, out)
			continue
		}
		require.EqualError(t, err, want, out)
	}
}

// TestTiersAreTargets holds the commands of CONTRIBUTING.md to the Makefile's targets and the scripts of CI.
func TestTiersAreTargets(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "CONTRIBUTING.md"))
	require.NoError(t, err)
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	require.NoError(t, err)
	named := regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)").FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(named), 8)
	for _, m := range named {
		require.Regexp(t, `(?m)^`+m[1]+`:.* ## `, string(makefile), "make %s", m[1])
	}
}
