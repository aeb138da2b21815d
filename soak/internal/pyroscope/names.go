package pyroscope

import (
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// Service is the service name of a cell: memsoak.migrator.w8.m1800MiB.p40.
func Service(subject string, c record.Cell) string {
	name := "memsoak." + subject
	for _, p := range []struct{ axis, letter string }{{"workers", "w"}, {"gomemlimit", "m"}, {"pool", "p"}} {
		if v := c[p.axis]; v != "" {
			name += "." + p.letter + v
		}
	}
	return clean(name, "._-")
}

// clean replaces what is not a letter, a digit or one of also by "_". Names and values go into /ingest's own syntax,
// where braces, commas and quotes mean something.
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

// labels are those of a profile of a trial's phase.
func labels(run *record.Run, t *record.Trial, phase string) []Label {
	setting := func(name string) string {
		if v := t.Cell[name]; v != "" {
			return v
		}
		return t.Settings[name]
	}
	out := []Label{
		{"run_id", run.ID}, {"cell", strings.NewReplacer("=", ":", " ", ";").Replace(t.Cell.String())},
		{"trial", string(t.Kind) + "-" + itoa(t.Index)}, {"phase", phase},
		{"workers", setting("workers")}, {"gomemlimit", setting("gomemlimit")}, {"gogc", setting("gogc")}, {"pool", setting("pool")},
		{"service_git_ref", t.Subject.Version},
	}
	for i, l := range out {
		out[i].Value = labelValue(l.Value)
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
