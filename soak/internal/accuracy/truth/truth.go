// Package truth reads the truth about each specimen: the verdict that a diagnosis has to reach, with the function and
// the line. Lines are found by a marker comment in the source ("// fault:NAME"), so that they cannot go stale.
package truth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/memsoak/memsoak/profiles/record"
)

// Module is where the functions of the specimens live: a Truth's function is written relative to it.
const Module = "github.com/memsoak/memsoak/soak/specimens/"

// Truth is the truth about one specimen. It is read from truth/NAME.yaml.
type Truth struct {
	// Name is the specimen's, taken from the file's name.
	Name string `yaml:"-"`
	// HeldOut says that the file lies in heldout2/truth: no rule has been changed for what it shows. Learned says that it
	// lies in heldout/truth, the set before: it was held out until its first look, and has been learned from since.
	HeldOut bool `yaml:"-"`
	Learned bool `yaml:"-"`

	// Summary is the fault in a sentence.
	Summary string `yaml:"summary"`
	// Like names the fault of which this is the healthy look-alike.
	Like string `yaml:"like"`
	// Of names the two faults of a combination; the rest but Summary, Headline and Set is theirs.
	Of []string `yaml:"of"`

	// Headline is the cell's verdict; where ARCHITECTURE.md leaves room for two, Also is the other, and Why says why.
	Headline record.Headline `yaml:"headline"`
	Also     record.Headline `yaml:"also"`
	Why      string          `yaml:"why"`

	// Class is the finding's class; empty for healthy specimens.
	Class record.Class `yaml:"class"`
	// Function is the culprit, relative to Module and as a person would say it: a closure by the function that it is
	// written in, a generic one without its type arguments. Empty where no profile can name one: then it isn't judged.
	Function string `yaml:"function"`
	// Marker is the marker's name when it isn't the specimen's own.
	Marker string `yaml:"marker"`
	// Slope is the growth, in size-class bytes.
	Slope *Slope `yaml:"slope"`
	// At are the sizes of files in bytes at which a buffer has its slope; none: at any.
	At []int64 `yaml:"at"`
	// Bound is the number of items at which a cache stops.
	Bound int64 `yaml:"bound"`
	// Set are the settings that the trial needs: axes and fixed settings of the runner.
	Set map[string]string `yaml:"set"`
	// Needs names what the build or the machine must have: "linux", "cgo".
	Needs []string `yaml:"needs"`

	// File and Line are the marker's place: a path below soak/specimens, slash-separated. Line is 0 without a marker.
	File string `yaml:"-"`
	Line int    `yaml:"-"`
}

// Slope is bytes per unit.
type Slope struct {
	Bytes float64 `yaml:"bytes"`
	// Per are the units in which it may be said; the first is the one that Bytes was measured with. The others have to
	// be worth the same number of bytes.
	Per []string `yaml:"per"`
	// Within is the relative error that the truth itself has, where growth comes in steps; 0 is 5 %.
	Within float64 `yaml:"within"`
}

// Tolerance is the relative error that a right slope may have.
func (s *Slope) Tolerance() float64 { return max(s.Within, 0.05) }

// Healthy reports whether nothing is wrong with the specimen.
func (t *Truth) Healthy() bool { return t.Class == "" && len(t.Of) == 0 }

// Combination reports whether the specimen has two faults.
func (t *Truth) Combination() bool { return len(t.Of) > 0 }

// Apart reports whether the specimen is left to full runs.
func (t *Truth) Apart() bool { return t.HeldOut || t.Learned }

// FullFunction is Function as a verdict names it.
func (t *Truth) FullFunction() string {
	if t.Function == "" {
		return ""
	}
	return Module + t.Function
}

// units are those of the verdict vocabulary.
var units = []string{"file", "byte", "request", "second", "listed-file", "backlog-item", "distinct-item", "worker",
	"byte-in-flight", "connection", "goroutine", "page", "wave", "error", "large-file"}

var headlines = []record.Headline{record.Healthy, record.HeadLeak, record.HeadBuffer, record.HeadMetadata,
	record.HeadHeadroom, record.HeadOffHeap}

// Load reads the truth of all specimens below dir, which is soak/specimens of a checkout, sorted by name. Its error
// names all faults of the files together.
func Load(dir string) ([]*Truth, error) {
	markers, err := findMarkers(dir)
	if err != nil {
		return nil, err
	}
	var all []*Truth
	var errs []error
	for _, folder := range []string{"truth", "heldout/truth", "heldout2/truth"} {
		names, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(folder), "*.yaml"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			t, err := read(name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			t.HeldOut, t.Learned = folder == "heldout2/truth", folder == "heldout/truth"
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *Truth) int { return strings.Compare(a.Name, b.Name) })
	byName := map[string]*Truth{}
	for _, t := range all {
		byName[t.Name] = t
	}
	for _, t := range all {
		if err := t.resolve(byName, markers); err != nil {
			errs = append(errs, fmt.Errorf("truth of %s: %w", t.Name, err))
		}
	}
	if len(all) == 0 && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("no truth files below %s", dir))
	}
	return all, errors.Join(errs...)
}

func read(name string) (*Truth, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t := new(Truth)
	if err := yaml.UnmarshalWithOptions(b, t, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	t.Name = strings.TrimSuffix(filepath.Base(name), ".yaml")
	return t, nil
}

// resolve checks the truth's sense and finds its line.
func (t *Truth) resolve(all map[string]*Truth, markers map[string]marker) error {
	if t.Summary == "" {
		return errors.New("no summary")
	}
	if !slices.Contains(headlines, t.Headline) || t.Also != "" && !slices.Contains(headlines, t.Also) {
		return fmt.Errorf("headline %q, also %q: not in the vocabulary", t.Headline, t.Also)
	}
	if t.Combination() {
		for _, part := range t.Of {
			if p := all[part]; p == nil || p.Healthy() || p.Combination() {
				return fmt.Errorf("%q is not a fault", part)
			}
		}
		if t.Name != strings.Join(t.Of, "+") {
			return fmt.Errorf("a combination is named by its parts: %s", strings.Join(t.Of, "+"))
		}
		return nil
	}
	if t.Healthy() {
		if t.Headline != record.Healthy {
			return fmt.Errorf("no class, but headline %q", t.Headline)
		}
		if l := all[t.Like]; t.Like != "" && (l == nil || l.Healthy()) {
			return fmt.Errorf("like %q, which is not a fault", t.Like)
		}
		return nil
	}
	if t.Class.Rank() < 0 {
		return fmt.Errorf("class %q is not in the vocabulary", t.Class)
	}
	if t.Slope != nil {
		if t.Slope.Bytes <= 0 || len(t.Slope.Per) == 0 {
			return errors.New("a slope needs bytes above 0 and a unit")
		}
		for _, u := range t.Slope.Per {
			if !slices.Contains(units, u) {
				return fmt.Errorf("unit %q is not in the vocabulary", u)
			}
		}
	}
	if t.Function == "" {
		return nil
	}
	name := t.Marker
	if name == "" {
		name = t.Name
	}
	m, ok := markers[name]
	if !ok {
		return fmt.Errorf("no marker fault:%s in the source", name)
	}
	t.File, t.Line = m.file, m.line
	return nil
}

type marker struct {
	file string
	line int
}

const markerText = "// fault:"

// findMarkers reads every Go file below dir. A marker that occurs twice is an error.
func findMarkers(dir string) (map[string]marker, error) {
	found := map[string]marker{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(p)))
		if err != nil {
			return err
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		for n := 1; lines.Scan(); n++ {
			_, name, ok := strings.Cut(lines.Text(), markerText)
			if !ok {
				continue
			}
			name = strings.TrimSpace(name)
			if first, twice := found[name]; twice {
				return fmt.Errorf("marker fault:%s in %s line %d and in %s line %d", name, first.file, first.line, p, n)
			}
			found[name] = marker{file: p, line: n}
		}
		return lines.Err()
	})
	return found, err
}
