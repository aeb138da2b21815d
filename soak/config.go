package soak

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/memsoak/memsoak/internal/bounded"
	"github.com/memsoak/memsoak/internal/setting"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/record"
	"github.com/memsoak/memsoak/soak/gate"
	"github.com/memsoak/memsoak/soak/internal/fakes"
	"github.com/memsoak/memsoak/soak/internal/load"
	"github.com/memsoak/memsoak/soak/internal/protocol"
	"github.com/memsoak/memsoak/soak/internal/subject"
)

// ErrConfig is returned, wrapped with the reason, for a configuration that can't be run.
var ErrConfig = errors.New("configuration")

// Config is soak.yaml. The zero value of each field has a default, see DefaultConfig.
type Config struct {
	// Subject is the name of a subject that comes with soak, or a subject file.
	Subject string `yaml:"subject"`
	// SubjectRef is a git revision from which the subject is built, in a worktree of its own.
	SubjectRef string `yaml:"subject_ref,omitempty"`
	// Corpus of free runs: a preset or a spec file.
	Corpus string `yaml:"corpus"`

	Axes   Axes   `yaml:"axes,omitempty"`
	Design Design `yaml:"design"`
	Center Cell   `yaml:"center,omitempty"`
	// Cells are explicit cells, beside those of the design.
	Cells []Cell `yaml:"cells,omitempty"`
	// Only keeps the cells for which the condition over the settings holds: "workers >= 10 and pool == 4".
	Only string `yaml:"only,omitempty"`
	// Set has fixed settings.
	Set Cell `yaml:"set,omitempty"`

	// Limit is the memory limit of the subject, Node that of the parent cgroup; 0 is none.
	Limit units.Bytes `yaml:"limit"`
	Node  units.Bytes `yaml:"node,omitempty"`

	Repeats int   `yaml:"repeats"`
	Seed    int64 `yaml:"seed"`

	// Protocol is a built-in protocol or a file. Trials, Budget and Duration override the protocol's own.
	Protocol string             `yaml:"protocol"`
	Trials   []record.TrialKind `yaml:"trials,omitempty"`
	Budget   Duration           `yaml:"budget,omitempty"`
	Duration Duration           `yaml:"duration,omitempty"`

	Thresholds []gate.Threshold `yaml:"thresholds,omitempty"`
}

// Duration is a time.Duration that reads "8h" from YAML.
type Duration = protocol.Duration

// Axes keep the order in which the file lists them.
type Axes []Axis

// UnmarshalYAML implements yaml.NodeUnmarshaler: a map of names to lists of values, each as it is written: off stays
// off and 010 stays 010.
func (a *Axes) UnmarshalYAML(n ast.Node) error {
	m, ok := n.(ast.MapNode)
	if !ok {
		return &yaml.SyntaxError{Token: n.GetToken(), Message: "want axes as in 'workers: [1, 8]'"}
	}
	for it := m.MapRange(); it.Next(); {
		axis := Axis{Name: it.Key().GetToken().Value}
		list, ok := it.Value().(*ast.SequenceNode)
		if !ok {
			return &yaml.SyntaxError{Token: it.Value().GetToken(), Message: "want a list of values as in [1, 8]"}
		}
		for _, v := range list.Values {
			switch v.(type) {
			case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
				axis.Values = append(axis.Values, v.GetToken().Value)
			default:
				return &yaml.SyntaxError{Token: v.GetToken(), Message: "want one value in one line"}
			}
		}
		*a = append(*a, axis)
	}
	return nil
}

// DefaultConfig is what `soak run` does without flags and file: the default matrix of the first page of the README.
func DefaultConfig() Config {
	return Config{Subject: "migrator", Corpus: "mixed", Design: Star, Limit: 2 << 30, Repeats: 1, Seed: 1,
		Protocol: "default"}
}

// DefaultAxes is the matrix for a run that names no axes and no cells.
func DefaultAxes() Axes {
	return Axes{
		{Name: "workers", Values: []string{"1", "3", "10", "25", "50"}},
		{Name: "gomemlimit", Values: []string{"off", "1800MiB"}},
		{Name: "pool", Values: []string{"4", "40"}},
	}
}

// LoadConfig reads soak.yaml over the defaults. Errors of the YAML have line and column.
func LoadConfig(path string) (Config, error) {
	c := DefaultConfig()
	b, err := bounded.ReadFile(path, bounded.Config)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := bounded.Decode(b, bounded.Config, &c); err != nil {
		return c, fmt.Errorf("%w: %s: %w", ErrConfig, path, err)
	}
	return c, nil
}

// runnerSettings are the settings that the runner itself understands, with a check of their values. All others are
// placeholders of the subject.
var runnerSettings = map[string]func(string) error{
	"gomemlimit":     checkGOMEMLIMIT,
	"gogc":           checkGOGC,
	"gomaxprocs":     checkWhole(1, 10_000),
	"memprofilerate": checkWhole(1, 1<<30),
	"limit":          func(v string) error { return setting.Text("limit", v) },
	"transport": func(v string) error {
		if !slices.Contains([]string{fakes.HTTP, fakes.TLS, fakes.H2}, v) {
			return fmt.Errorf("want http, tls or h2")
		}
		return nil
	},
	"corpus":       func(v string) error { _, err := loadCorpus(v); return err },
	"subject_ref":  checkRef,
	"drive_faults": checkFile,
	"s3_faults":    checkFile,
	"s3_min_part": func(v string) error {
		if n, err := units.ParseBytes(v); err != nil || n < 1 {
			return fmt.Errorf("want a size of at least a byte, such as 5MiB")
		}
		return nil
	},
	"cpu_limit": func(v string) error {
		if n, err := strconv.ParseFloat(v, 64); err != nil || n < 0.01 || n > 1024 {
			return fmt.Errorf("want processors, such as 0.1 or 2")
		}
		return nil
	},
	"cpuset": func(v string) error { _, err := subject.ParseCPUs(v); return err },
}

// commonSettings are defaults of settings that most subjects have.
var commonSettings = map[string]string{"workers": "8", "discovery_workers": "4", "pool": "40",
	"concurrency": load.DefaultConcurrency}

// SettingNames lists the settings that a run over the subject understands.
func SettingNames(s *subject.Spec) []string {
	names := map[string]bool{}
	for _, n := range s.SettingNames() {
		names[n] = true
	}
	for n := range runnerSettings {
		names[n] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// checkSetting reports an error in a setting of a run over the subject.
func checkSetting(s *subject.Spec, name, value string) error {
	if check, ok := runnerSettings[name]; ok {
		if err := check(value); err != nil {
			return fmt.Errorf("%w: %s=%s: %w", ErrConfig, name, value, err)
		}
		return nil
	}
	if slices.Contains(s.SettingNames(), name) {
		if name != s.Concurrency {
			return nil
		}
		if _, err := strconv.ParseInt(value, 10, 64); err != nil || setting.Text("workers", value) != nil {
			s, _ := setting.Find("workers")
			return fmt.Errorf("%w: %s=%s, the transfers that run at once: want a whole number of %s", ErrConfig, name, value,
				s.Range())
		}
		return nil
	}
	return fmt.Errorf("%w: subject %s has no setting %q; known: %s", ErrConfig, s.Name, name, strings.Join(SettingNames(s),
		", "))
}

// checkGOMEMLIMIT accepts what the Go runtime does: off, or a whole number with B, KiB, MiB, GiB or TiB.
func checkGOMEMLIMIT(v string) error {
	if v == "off" {
		return nil
	}
	n := strings.TrimSuffix(v, "B")
	if i := strings.IndexAny(n, "KMGT"); i > 0 && n[i+1:] == "i" && strings.HasSuffix(v, "B") {
		n = n[:i]
	}
	if _, err := strconv.ParseUint(n, 10, 63); err != nil {
		return fmt.Errorf("the Go runtime wants off or a whole number with KiB, MiB or GiB, such as 1800MiB")
	}
	return setting.Text("gomemlimit", v)
}

func checkGOGC(v string) error {
	if v == "off" {
		return nil
	}
	return checkWhole(0, 1_000_000)(v)
}

func checkWhole(least, most int64) func(string) error {
	return func(v string) error {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < least || n > most {
			return fmt.Errorf("want a whole number, %d to %d", least, most)
		}
		return nil
	}
}

func checkRef(v string) error {
	if v == "" || strings.HasPrefix(v, "-") {
		return fmt.Errorf("want a git revision")
	}
	return nil
}

func checkFile(v string) error {
	if v == "none" {
		return nil
	}
	_, err := os.Stat(v)
	return err
}
