package pyroscope

import (
	"maps"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// letters abbreviate the axes that most runs have; any other axis stands in a name as axis-value.
var letters = map[string]string{"workers": "w", "gomemlimit": "m", "pool": "p", "gogc": "g"}

// first is the order of those axes in a name; the others follow by name.
var first = []string{"workers", "gomemlimit", "pool", "gogc"}

// Service is the service name of a trial: memsoak.migrator.w8.m1800MiB.p40.9d1e35.t1. It has one profile of each kind,
// the peak, because a server's own pages filter by service name alone and sum all that a range holds. Every axis that
// varies is part of the name, and so are a short run id and the trial's number: a second run within the hour is a
// service of its own. Phases and floors are services below it; see view.
func Service(run *record.Run, c record.Cell, trial int) string {
	name := "memsoak." + run.Subject
	for _, axis := range first {
		if v := c[axis]; v != "" {
			name += "." + letters[axis] + v
		}
	}
	for _, axis := range slices.Sorted(maps.Keys(c)) {
		if letters[axis] == "" && c[axis] != "" {
			name += "." + axis + "-" + c[axis]
		}
	}
	return clean(name+"."+shortID(run.ID)+".t"+itoa(trial), "._-")
}

// shortID is the last part of a run's id, which is random: 9d1e35 of 20261123-180452-9d1e35.
func shortID(id string) string {
	return id[strings.LastIndexByte(id, '-')+1:]
}

// view says which profile of a trial a service shows.
type view string

const (
	viewPeak  view = "peak"  // most live bytes of the trial, under the trial's own name
	viewPhase view = "phase" // most live bytes of a phase, under the name and the phase
	viewFloor view = "floor" // after a phase's work and two collections: the same with "floor"
)

// service is the name under which a view is stored.
func (v view) service(trial, phase string) string {
	switch v {
	case viewPhase:
		return trial + "." + clean(phase, "_-")
	case viewFloor:
		return trial + "." + clean(phase, "_-") + ".floor"
	default:
		return trial
	}
}

// clean replaces each character that is no letter, no digit and not in also by "_". Names and values go into /ingest's
// own syntax, where braces, commas and quotes mean something.
func clean(s, also string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(also, r) {
			return r
		}
		return '_'
	}, s)
}

// Label is a name and a value, both fit for /ingest.
type Label struct{ Name, Value string }

// maxValue keeps label values below the server's limit of 2,048 bytes.
const maxValue = 200

// CellLabel is a cell as the value of a label, the same in Prometheus and in Pyroscope, so that one variable of a
// dashboard selects both. Commas, braces and quotes mean something in /ingest's syntax.
func CellLabel(c record.Cell) string { return clean(c.String(), " =._:;/+@-") }

// labels are those of a profile of a trial's phase.
func labels(run *record.Run, t *record.Trial, v view, phase string) []Label {
	setting := func(name string) string {
		if v := t.Cell[name]; v != "" {
			return v
		}
		return t.Settings[name]
	}
	out := []Label{
		{"run_id", run.ID}, {"cell", CellLabel(t.Cell)}, {"view", string(v)},
		{"trial", string(t.Kind) + "-" + itoa(t.Index)}, {"phase", phase},
		{"workers", setting("workers")}, {"gomemlimit", setting("gomemlimit")}, {"gogc", setting("gogc")},
		{"pool", setting("pool")},
		{"service_git_ref", t.Subject.Version},
	}
	for i, l := range out {
		if l.Name != "cell" {
			out[i].Value = labelValue(l.Value)
		}
	}
	return slices.DeleteFunc(out, func(l Label) bool { return l.Value == "" })
}

func labelValue(s string) string {
	v := clean(s, "._:;/+@-")
	return v[:min(len(v), maxValue)]
}

// seriesName is the name parameter of /ingest.
func seriesName(service string, ls []Label) string {
	pairs := make([]string, len(ls))
	for i, l := range ls {
		pairs[i] = l.Name + "=" + l.Value
	}
	return service + "{" + strings.Join(pairs, ",") + "}"
}

// selector picks the same series in a query.
func selector(service string, ls []Label) string {
	pairs := []string{`service_name="` + service + `"`}
	for _, l := range ls {
		pairs = append(pairs, l.Name+`="`+l.Value+`"`)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}
