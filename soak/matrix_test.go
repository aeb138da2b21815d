package soak_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/soak"
	"github.com/memsoak/memsoak/soak/internal/subject"
	"github.com/memsoak/memsoak/soak/subjects"
)

func axis(name string, values ...string) soak.Axis { return soak.Axis{Name: name, Values: values} }

func TestTheDefaultMatrixIsAStarAroundTenWorkers(t *testing.T) {
	cells, err := soak.Matrix{Axes: soak.DefaultAxes(), Design: soak.Star}.Cells()
	require.NoError(t, err)
	assert.Len(t, cells, 7)
	assert.Equal(t, soak.Cell{"workers": "10", "gomemlimit": "1800MiB", "pool": "40"}, cells[0])
	for _, c := range cells[1:] {
		differs := 0
		for k, v := range c {
			if cells[0][k] != v {
				differs++
			}
		}
		assert.Equal(t, 1, differs, "%s differs from the centre in one axis", c)
	}
}

func TestDesigns(t *testing.T) {
	axes := []soak.Axis{axis("a", "1", "2", "3"), axis("b", "x", "y", "z"), axis("c", "p", "q", "r")}
	full, err := soak.Matrix{Axes: axes, Design: soak.Full}.Cells()
	require.NoError(t, err)
	assert.Len(t, full, 27)

	pairs, err := soak.Matrix{Axes: axes, Design: soak.Pairs}.Cells()
	require.NoError(t, err)
	assert.Less(t, len(pairs), 16, "far fewer than all combinations")
	for i, a := range axes {
		for _, b := range axes[i+1:] {
			for _, va := range a.Values {
				for _, vb := range b.Values {
					assert.True(t, hasPair(pairs, a.Name, va, b.Name, vb), "%s=%s %s=%s", a.Name, va, b.Name, vb)
				}
			}
		}
	}

	mixed, err := soak.Matrix{Axes: axes[:1], Design: soak.Full, Explicit: []soak.Cell{{"a": "1"}, {"b": "w"}}}.Cells()
	require.NoError(t, err)
	assert.Len(t, mixed, 4, "explicit cells come beside the design's, once")
	none, err := soak.Matrix{}.Cells()
	require.NoError(t, err)
	assert.Equal(t, []soak.Cell{{}}, none, "no axes: the subject's own settings")
}

func hasPair(cells []soak.Cell, a, va, b, vb string) bool {
	for _, c := range cells {
		if c[a] == va && c[b] == vb {
			return true
		}
	}
	return false
}

func TestWrongMatricesAreRefused(t *testing.T) {
	for want, m := range map[string]soak.Matrix{
		`unknown design "cube"`:   {Design: "cube"},
		`axis "a" has no values`:  {Axes: []soak.Axis{axis("a")}},
		`axis "a" is given twice`: {Axes: []soak.Axis{axis("a", "1"), axis("a", "2")}},
		`has the value "1" twice`: {Axes: []soak.Axis{axis("a", "1", "1")}},
		`which is no axis`:        {Axes: []soak.Axis{axis("a", "1")}, Center: soak.Cell{"b": "1"}},
		`not among the axis's`:    {Axes: []soak.Axis{axis("a", "1")}, Center: soak.Cell{"a": "2"}},
	} {
		_, err := m.Cells()
		assert.ErrorContains(t, err, want)
	}
}

func config(t *testing.T, text string) (soak.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "soak.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	return soak.LoadConfig(path)
}

func TestConfigKeepsTheOrderAndTheSpellingOfAxes(t *testing.T) {
	c, err := config(t, "axes:\n  workers: [1, 8]\n  gomemlimit: [off, 512MiB]\n  aaa: ['01', \"x y\"]\n"+
		"  b: [010, 1.50, true]\nlimit: 1Gi\nbudget: 12s\n")
	require.NoError(t, err)
	assert.Equal(t, soak.Axes{axis("workers", "1", "8"), axis("gomemlimit", "off", "512MiB"), axis("aaa", "01", "x y"),
		axis("b", "010", "1.50", "true")}, c.Axes)
	assert.EqualValues(t, 1<<30, c.Limit)
	assert.Equal(t, "migrator", c.Subject, "what the file leaves out keeps its default")
}

func TestConfigErrorsHaveLineAndColumn(t *testing.T) {
	for text, at := range map[string]string{
		"subject: migrator\nworkers: 3\n":  "[2:1]",
		"limit: lots\n":                    "lots",
		"budget: 5 parsecs\n":              "[1:9] time: unknown unit",
		"axes:\n  workers: [1, 2\nseed: 1": "[3:",
		"axes: [workers]\n":                "[1:7] want axes",
		"axes:\n  workers: 3\n":            "[2:12] want a list",
		"axes:\n  workers: [1, [2]]\n":     "[2:16] want one value",
		"axes:\n  workers: [1, ]\n  pool:": "[3:9] null",
	} {
		_, err := config(t, text)
		require.ErrorIs(t, err, soak.ErrConfig, text)
		assert.ErrorContains(t, err, at)
	}
}

func plan(t *testing.T, change func(*soak.Config)) (*soak.Plan, error) {
	t.Helper()
	c := soak.DefaultConfig()
	c.Axes = soak.DefaultAxes()
	change(&c)
	return soak.NewPlan(c, soak.Shard{})
}

func TestWrongSettingsAreRefusedBeforeAnythingRuns(t *testing.T) {
	for want, change := range map[string]func(*soak.Config){
		`no setting "workres"; known:`:      func(c *soak.Config) { c.Set = soak.Cell{"workres": "1"} },
		`gomemlimit=1.8GB: the Go runtime`:  func(c *soak.Config) { c.Set = soak.Cell{"gomemlimit": "1.8GB"} },
		`gomemlimit=99999999999GiB: out of`: func(c *soak.Config) { c.Set = soak.Cell{"gomemlimit": "99999999999GiB"} },
		`workers=x, the transfers that run`: func(c *soak.Config) { c.Axes = soak.Axes{axis("workers", "1", "x")} },
		`workers=0, the transfers that run`: func(c *soak.Config) { c.Set = soak.Cell{"workers": "0"}; c.Axes = nil },
		`budget: want 1ms to 168h0m0s`:      func(c *soak.Config) { c.Budget = -1 },
		`duration: want 1s to 720h0m0s`:     func(c *soak.Config) { c.Duration = -1 },
		`gogc=-1: want a whole number`:      func(c *soak.Config) { c.Set = soak.Cell{"gogc": "-1"} },
		`transport=quic: want http`:         func(c *soak.Config) { c.Set = soak.Cell{"transport": "quic"} },
		`no subject "migratr"; known:`:      func(c *soak.Config) { c.Subject = "migratr" },
		`corpus "mixd" is no preset`:        func(c *soak.Config) { c.Corpus = "mixd" },
		`the built-in ones are`:             func(c *soak.Config) { c.Protocol = "fast" },
		`no cell of the matrix fits`:        func(c *soak.Config) { c.Only = "workers > 1000" },
		`repeats: want 1 to 1000`:           func(c *soak.Config) { c.Repeats = 0 },
		`repeats: want 1 to 1000 `:          func(c *soak.Config) { c.Repeats = 9_999_999_999 },
		`cpuset=x: "x" is not a list`:       func(c *soak.Config) { c.Set = soak.Cell{"cpuset": "x"} },
		`thresholds:`: func(c *soak.Config) {
			require.NoError(t, appendThreshold(c,
				"peak_rs < 1MiB"))
		},
		`subject rclone can't be built from`: func(c *soak.Config) {
			c.Subject, c.SubjectRef, c.Axes = "rclone", "HEAD",
				nil
		},
	} {
		_, err := plan(t, change)
		require.ErrorIs(t, err, soak.ErrConfig, want)
		assert.ErrorContains(t, err, want)
		assert.NotContains(t, err.Error(), "\n", "one clear line")
	}
}

// TestEachSettingOfTheRunnerIsChecked has a wrong value of each.
func TestEachSettingOfTheRunnerIsChecked(t *testing.T) {
	wrong := map[string]string{
		"corpus": "mixd", "cpu_limit": "0", "cpuset": "x", "drive_faults": "nowhere.yaml", "gogc": "-1", "gomaxprocs": "0",
		"gomemlimit": "1.8GB", "limit": "lots", "memprofilerate": "0", "s3_faults": "nowhere.yaml", "s3_min_part": "0",
		"subject_ref": "--force", "transport": "quic",
	}
	require.ElementsMatch(t, soak.SettingNames(&subject.Spec{}), slices.Collect(maps.Keys(wrong)))
	for name, value := range wrong {
		_, err := plan(t, func(c *soak.Config) { c.Set = soak.Cell{name: value} })
		require.ErrorIs(t, err, soak.ErrConfig, name)
		assert.ErrorContains(t, err, name+"="+value+": ")
	}
}

func TestOnlyFiltersBySettings(t *testing.T) {
	for only, pools := range map[string][]string{
		"workers >= 10 and pool == 40":              {"40", "40", "40", "40"},
		"workers>=10 and pool=4":                    {"4"},
		"gomemlimit = off":                          {"40"},
		`gomemlimit != "off" and workers in [1, 3]`: {"40", "40"},
	} {
		p, err := plan(t, func(c *soak.Config) { c.Only = only })
		require.NoError(t, err, only)
		var got []string
		for _, c := range p.Cells {
			got = append(got, c["pool"])
		}
		assert.Equal(t, pools, got, only)
	}
	_, err := plan(t, func(c *soak.Config) { c.Only = "pool=4 and (workers=" })
	assert.ErrorContains(t, err, "column 20", "where the text as it was given ends")
}

func TestRepeatsAreInterleavedAndReproducible(t *testing.T) {
	three := func(c *soak.Config) { c.Repeats, c.Seed = 3, 7 }
	p, err := plan(t, three)
	require.NoError(t, err)
	assert.Len(t, p.Trials, 7*2*3)
	seen := map[string]bool{}
	for _, s := range p.Trials[:14] {
		seen[s.Cell.String()] = true
		assert.LessOrEqual(t, s.Index, 2)
	}
	assert.Len(t, seen, 7, "each cell runs once before any runs again")
	again, err := plan(t, three)
	require.NoError(t, err)
	assert.Equal(t, p.Trials, again.Trials)
}

func TestShardsAreAPartition(t *testing.T) {
	c := soak.DefaultConfig()
	c.Axes = soak.DefaultAxes()
	seen := map[string]int{}
	for i := 1; i <= 3; i++ {
		p, err := soak.NewPlan(c, soak.Shard{I: i, N: 3})
		require.NoError(t, err)
		for _, s := range p.Trials {
			seen[s.Dir()]++
		}
	}
	assert.Len(t, seen, 14)
	for dir, n := range seen {
		assert.Equal(t, 1, n, dir)
	}
}

func TestParseShard(t *testing.T) {
	s, err := soak.ParseShard("2/4")
	require.NoError(t, err)
	assert.Equal(t, soak.Shard{I: 2, N: 4}, s)
	t.Setenv("JOB_COMPLETION_INDEX", "0")
	s, err = soak.ParseShard("job/4")
	require.NoError(t, err)
	assert.Equal(t, soak.Shard{I: 1, N: 4}, s)
	for _, bad := range []string{"0/4", "5/4", "2", "a/b", "1/0"} {
		_, err := soak.ParseShard(bad)
		assert.ErrorIs(t, err, soak.ErrConfig, bad)
	}
}

func TestAOneShotSubjectTakesOnlyProtocolsThatSample(t *testing.T) {
	c := soak.DefaultConfig()
	c.Subject = "rclone-copy"
	p, err := soak.NewPlan(c, soak.Shard{})
	require.NoError(t, err)
	assert.Equal(t, "passive", p.Protocol.Name)
	assert.Contains(t, strings.Join(p.Warnings, "; "), "is a one-shot command")
	c.Protocol = filepath.Join(t.TempDir(), "mine.yaml")
	require.NoError(t, os.WriteFile(c.Protocol, []byte("name: mine\ntrials: [passive]\nphases: [{kind: free}]\n"), 0o644))
	p, err = soak.NewPlan(c, soak.Shard{})
	require.NoError(t, err)
	assert.Equal(t, "mine", p.Protocol.Name)
	assert.Empty(t, p.Warnings)
}

func TestSubjectsThatComeWithSoakAreValid(t *testing.T) {
	assert.Subset(t, subjects.Names(), []string{"migrator", "rclone", "rclone-copy", "replay"})
	for _, n := range subjects.Names() {
		_, err := soak.LoadSubject(n)
		assert.NoError(t, err, n)
	}
}
