package dashboards_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/memsoak/memsoak/internal/needs"
)

const (
	boards = "grafana/dashboards"
	rules  = "prometheus/rules"
)

// target is a query of a panel.
type target struct {
	RefID          string `json:"refId"`
	Expr           string `json:"expr"`
	LegendFormat   string `json:"legendFormat"`
	ProfileTypeID  string `json:"profileTypeId"`
	LabelSelector  string `json:"labelSelector"`
	Datasource     source `json:"datasource"`
	Instant, Range bool
}

type source struct{ Type, UID string }

type panel struct {
	ID          int    `json:"id"`
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	GridPos     struct{ X, Y, W, H int }
	Datasource  source   `json:"datasource"`
	Targets     []target `json:"targets"`
	FieldConfig struct {
		Defaults struct{ Unit string } `json:"defaults"`
	} `json:"fieldConfig"`
}

type dashboard struct {
	UID           string          `json:"uid"`
	ID            json.RawMessage `json:"id"`
	Title         string          `json:"title"`
	Description   string          `json:"description"`
	SchemaVersion int             `json:"schemaVersion"`
	Time          struct{ From, To string }
	Inputs        json.RawMessage `json:"__inputs"`
	Panels        []panel         `json:"panels"`
	Templating    struct {
		List []struct {
			Name, Label, Type, Definition string
			Query                         json.RawMessage
			Datasource                    *source
		} `json:"list"`
	} `json:"templating"`
}

func load(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(boards, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	out := map[string]dashboard{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(b, &d), f)
		out[filepath.Base(f)] = d
	}
	return out
}

// What Grafana asks of a dashboard that is provisioned, and what a person asks of it.
func TestDashboardsKeepGrafanasRules(t *testing.T) {
	uids, titles := map[string]string{}, map[string]string{}
	panelTypes := []string{"row", "stat", "timeseries", "table", "bargauge", "state-timeline", "flamegraph"}
	units := []string{"bytes", "short", "none", "percentunit", "s", "cps", "Bps", "reqps"}
	for file, d := range load(t) {
		assert.Regexp(t, `^[a-zA-Z0-9_-]{1,40}$`, d.UID, file)
		assert.Empty(t, uids[d.UID], "%s and %s have the same uid", file, uids[d.UID])
		assert.Empty(t, titles[d.Title], "%s and %s have the same title", file, titles[d.Title])
		uids[d.UID], titles[d.Title] = file, file
		assert.Nil(t, d.ID, "%s: a provisioned dashboard has no id of its own", file)
		assert.Nil(t, d.Inputs, "%s: exported for sharing, not for provisioning", file)
		assert.GreaterOrEqual(t, d.SchemaVersion, 39, file)
		assert.NotEmpty(t, d.Description, file)
		ids := map[int]bool{}
		for i, p := range d.Panels {
			at := file + ": " + p.Title
			assert.Positive(t, p.ID, at)
			assert.False(t, ids[p.ID], "%s: id %d twice", at, p.ID)
			ids[p.ID] = true
			assert.NotEmpty(t, p.Title, at)
			assert.Contains(t, panelTypes, p.Type, at)
			assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, at)
			assert.Positive(t, p.GridPos.W*p.GridPos.H, at)
			for _, o := range d.Panels[:i] {
				apart := p.GridPos.X >= o.GridPos.X+o.GridPos.W || o.GridPos.X >= p.GridPos.X+p.GridPos.W ||
					p.GridPos.Y >= o.GridPos.Y+o.GridPos.H || o.GridPos.Y >= p.GridPos.Y+p.GridPos.H
				assert.True(t, apart, "%s lies over %s", at, o.Title)
			}
			if p.Type == "row" {
				continue
			}
			assert.NotEmpty(t, p.Description, at)
			checkTargets(t, at, p)
			if p.Type != "flamegraph" {
				assert.Contains(t, units, p.FieldConfig.Defaults.Unit, "%s: unit", at)
			}
		}
		checkVariables(t, file, d)
	}
}

func checkTargets(t *testing.T, at string, p panel) {
	t.Helper()
	refs := map[string]bool{}
	assert.NotEmpty(t, p.Targets, at)
	for _, q := range p.Targets {
		assert.Regexp(t, `^[A-Z]$`, q.RefID, at)
		assert.False(t, refs[q.RefID], "%s: refId %s twice", at, q.RefID)
		refs[q.RefID] = true
		assert.Equal(t, p.Datasource, q.Datasource, at)
		switch q.Datasource {
		case source{"prometheus", "${datasource}"}:
			assert.NotEmpty(t, q.Expr, at)
			assert.NotEmpty(t, q.LegendFormat, at)
			assert.NotEqual(t, q.Instant, q.Range, "%s: instant or range", at)
		case source{"grafana-pyroscope-datasource", "${profiles}"}:
			assert.Equal(t, "memory:inuse_space:bytes:space:bytes", q.ProfileTypeID, at)
			assert.Regexp(t, `^\{service_name=`, q.LabelSelector, at)
		default:
			t.Errorf("%s: data source %v is not a variable of the dashboard", at, q.Datasource)
		}
	}
}

func checkVariables(t *testing.T, file string, d dashboard) {
	t.Helper()
	names := map[string]bool{}
	for _, v := range d.Templating.List {
		assert.False(t, names[v.Name], "%s: variable %s twice", file, v.Name)
		names[v.Name] = true
		assert.NotEmpty(t, v.Label, "%s: %s", file, v.Name)
		if v.Type == "query" {
			want := []*source{{"prometheus", "${datasource}"}, {"grafana-pyroscope-datasource", "${profiles}"}}
			assert.Contains(t, want, v.Datasource, "%s: %s", file, v.Name)
		}
	}
	assert.True(t, names["datasource"], "%s: no variable for its data source", file)
	b, err := json.Marshal(d)
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`\$\{?([a-z_]+)\b`).FindAllSubmatch(b, -1) {
		name := string(m[1])
		assert.True(t, names[name] || strings.HasPrefix(name, "__"), "%s uses $%s, which it does not define", file, name)
	}
}

func TestPromtoolChecksAndTestsTheRules(t *testing.T) {
	promtool := needs.Get(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", rules + "/recording.yml", rules + "/alerts.yml"}, {"test", "rules", rules + "/rules_test.yml"},
		{"check", "config", "prometheus/prometheus.yml"},
	} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		assert.NoError(t, err, "%s\n%s", args, out)
	}
}

// Each alert has a promtool test in which it fires.
func TestEveryAlertIsSeenToFire(t *testing.T) {
	tests, err := os.ReadFile(rules + "/rules_test.yml")
	require.NoError(t, err)
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		fires := regexp.MustCompile(`(?s)alertname: ` + r.Alert + `\n\s+exp_alerts:\n\s+- exp_labels`)
		assert.True(t, fires.Match(tests), "no test lets %s fire", r.Alert)
		assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
		assert.NotEmpty(t, r.Annotations["description"], r.Alert)
		assert.NotEmpty(t, r.Labels["severity"], r.Alert)
	}
}

type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) []rule {
	t.Helper()
	var out []rule
	for _, f := range []string{"recording.yml", "alerts.yml"} {
		b, err := os.ReadFile(filepath.Join(rules, f))
		require.NoError(t, err)
		var doc struct {
			Groups []struct {
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		require.NoError(t, yaml.Unmarshal(b, &doc), f)
		for _, g := range doc.Groups {
			out = append(out, g.Rules...)
		}
	}
	require.NotEmpty(t, out)
	return out
}

// composition is docker-compose.yml with the keys that it uses; any other one is an error.
type composition struct {
	Name     string
	Own      service `yaml:"x-own"`
	Probe    probe   `yaml:"x-probe"`
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image, Restart string
	Build          struct{ Context, Dockerfile string }
	Command        []string
	Environment    map[string]string
	Ports, Expose  []string
	Volumes        []string
	HealthCheck    *probe `yaml:"healthcheck"`
	DependsOn      any    `yaml:"depends_on"`
	Init           bool
	MemLimit       string `yaml:"mem_limit"`
}

type probe struct {
	Interval, Timeout string
	Retries           int
	Test              []string
}

func TestComposition(t *testing.T) {
	text, err := os.ReadFile("../docker-compose.yml")
	require.NoError(t, err)
	var p composition
	require.NoError(t, yaml.UnmarshalWithOptions(text, &p, yaml.DisallowUnknownField(), yaml.AllowDuplicateMapKey()))
	own := []string{"fakedrive", "fakes3", "migrator", "pyroscope-ready", "reports", "soak"}
	assert.ElementsMatch(t, append(own, "grafana", "prometheus", "pyroscope"), slices.Collect(maps.Keys(p.Services)))
	scraped, err := os.ReadFile("prometheus/prometheus.yml")
	require.NoError(t, err)
	for name, s := range p.Services {
		for _, port := range s.Ports {
			assert.True(t, strings.HasPrefix(port, "127.0.0.1:"), "%s publishes port %s beyond this machine", name, port)
		}
		if name != "pyroscope" && name != "soak" { // the one has no shell, the other ends
			assert.NotNil(t, s.HealthCheck, "%s has no health check", name)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, ".") {
				assert.FileExists(t, existing(filepath.Join("..", from)), "%s mounts what is not there: %s", name, from)
			} else {
				assert.Contains(t, p.Volumes, from, name)
			}
		}
		if slices.Contains(own, name) {
			assert.Equal(t, "dashboards/Dockerfile", s.Build.Dockerfile, name)
		}
		for _, c := range s.Command {
			if strings.HasPrefix(c, "0.0.0.0:") && name != "reports" { // which has no metrics
				assert.Contains(t, string(scraped), name+strings.TrimPrefix(c, "0.0.0.0"), "Prometheus does not scrape %s", name)
			}
		}
	}
	if out, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput(); err != nil {
		t.Logf("SKIPPED: docker compose config, since there is no docker compose (%.60s)", out)
		return
	}
	out, err := exec.CommandContext(t.Context(), "docker", "compose", "-f", "../docker-compose.yml", "config",
		"--quiet").CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

// existing is a file that shows that path is there: itself, or an entry of the folder.
func existing(path string) string {
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) == 0 {
		return path
	}
	for _, e := range entries {
		if !e.IsDir() {
			return filepath.Join(path, e.Name())
		}
	}
	return existing(filepath.Join(path, entries[0].Name()))
}
