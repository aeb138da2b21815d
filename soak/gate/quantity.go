package gate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/internal/stat"
	"github.com/memsoak/memsoak/internal/units"
	"github.com/memsoak/memsoak/profiles/costs"
	"github.com/memsoak/memsoak/profiles/record"
)

// quantity describes a name that thresholds can use.
type quantity struct {
	unit string // "bytes", "count", "ratio", "word" or "rate"
	help string
	word []string // the values of a word
}

// quantities is the vocabulary of thresholds; the README's table is checked against it.
var quantities = map[string]quantity{
	"peak": {unit: "bytes",
		help: "highest charge of the subject's cgroup without pages of files; without a cgroup, highest RSS"},
	"peak_rss": {unit: "bytes", help: "highest resident size of the subject"},
	"peak_cgroup": {unit: "bytes",
		help: "the kernel's own peak of the cgroup, page cache included: an upper bound of peak"},
	"peak_live":  {unit: "bytes", help: "highest live heap of any profile"},
	"held_live":  {unit: "bytes", help: "highest live heap after two collections while transfers were held"},
	"floor_live": {unit: "bytes", help: "live heap at the last floor"},
	"floor_growth": {unit: "ratio",
		help: "growth of the floors over the late half of the waves, relative to the first floor"},
	"growth_bytes_per_file": {unit: "bytes",
		help: "bytes that each finished file adds for good, by all that grows without a bound"},
	"leak_bytes_per_file":      {unit: "bytes", help: "bytes retained per finished file by leaks of any class"},
	"leak_bytes_per_second":    {unit: "bytes", help: "bytes retained per second by leaks that need no work"},
	"bytes_per_worker":         {unit: "bytes", help: "fixed bytes per worker in flight"},
	"bytes_per_byte_in_flight": {unit: "ratio", help: "bytes held per byte of the files in flight"},
	"bytes_per_listed_file":    {unit: "bytes", help: "bytes held per listed, waiting or distinct file"},
	"bytes_per_connection":     {unit: "bytes", help: "bytes held per pooled connection"},
	"goroutines_growth": {unit: "count",
		help: "goroutines at the floors of the late half less those of the early half (medians)"},
	"findings":         {unit: "count", help: "number of findings"},
	"files_per_second": {unit: "rate", help: "finished files per second in the speed trial"},
	"bytes_per_second": {unit: "rate", help: "copied bytes per second in the speed trial"},
	"headline":         {unit: "word", help: "the cell's verdict", word: headlines()},
	"outcome":          {unit: "word", help: "how the worst trial ended", word: outcomes()},
	"max_workers":      {unit: "call", help: "max_workers(2Gi): most workers that fit into a limit, by the memory model"},
}

func headlines() []string {
	return []string{string(record.Healthy), string(record.HeadLeak), string(record.HeadBuffer),
		string(record.HeadMetadata),
		string(record.HeadHeadroom), string(record.HeadOffHeap), string(record.Inconclusive)}
}

func outcomes() []string {
	return []string{string(record.OK), string(record.OOMKilled), string(record.Crashed), string(record.WaveFailed),
		string(record.Timeout)}
}

// Names returns the names that thresholds can use, in alphabetical order, each with its unit and meaning.
func Names() [][3]string {
	var out [][3]string
	for _, n := range slices.Sorted(maps.Keys(quantities)) {
		out = append(out, [3]string{n, quantities[n].unit, quantities[n].help})
	}
	return out
}

func known() string { return strings.Join(slices.Sorted(maps.Keys(quantities)), ", ") }

// probes are made-up measurements for the check that a threshold has a sense: the ends of the range, and both sides of
// every constant that the threshold mentions.
func (q quantity) probes(constants []float64) []any {
	if q.unit == "word" {
		out := make([]any, len(q.word))
		for i, w := range q.word {
			out[i] = w
		}
		return out
	}
	out := []any{0.0, 1e15}
	for _, c := range constants {
		for _, v := range []float64{c - 1, c, c + 1, c * 2, c / 2} {
			if v >= 0 {
				out = append(out, v)
			}
		}
	}
	return out[:min(len(out), 24)]
}

// exampleEnv types every name for the compiler.
func exampleEnv() map[string]any {
	env := maps.Clone(words)
	for n, q := range quantities {
		switch q.unit {
		case "word":
			env[n] = ""
		case "call":
			env[n] = func(float64) (float64, error) { return 0, nil }
		default:
			env[n] = 0.0
		}
	}
	return env
}

func format(name string, v any) string {
	f, ok := v.(float64)
	if !ok {
		return fmt.Sprint(v)
	}
	switch quantities[name].unit {
	case "bytes":
		if math.Abs(f) < 10_000 {
			return fmt.Sprintf("%.4g B", f)
		}
		return units.FormatBytes(int64(max(f, 0)))
	case "ratio":
		return fmt.Sprintf("%.3g %%", f*100)
	}
	return fmt.Sprintf("%.5g", f)
}

// CellData is what a run recorded for one cell.
type CellData struct {
	Cell     record.Cell
	Settings map[string]string
	Trials   []TrialData
	// MaxWorkers answers max_workers(limit) by the run's memory model; nil when there is none.
	MaxWorkers func(limit int64) (workers Workers, ok bool)
	// Beside is what a file adds beside the costs of a trial in which something grows, by the run's memory model; bytes.
	Beside float64
}

// Workers is how many workers fit into a limit. Open says that there may be more, and Perhaps how many at most; 0 is
// any number, since the matrix doesn't reach far enough to tell.
type Workers struct {
	Most    int
	Open    bool
	Perhaps int
}

// TrialData is a trial and its verdict; Verdict is nil when there is none.
type TrialData struct {
	Trial   *record.Trial
	Verdict *record.Verdict
}

// Quantities are a cell's measurements by name.
type Quantities struct {
	values map[string]any // of words too: an environment for thresholds
	why    map[string]string
	most   func(limit int64) (Workers, bool)
}

// Get returns a numeric quantity and whether it was measured.
func (q Quantities) Get(name string) (float64, bool) {
	v, ok := q.values[name].(float64)
	return v, ok
}

func (q Quantities) missing(name string) string {
	if w := q.why[name]; w != "" {
		return w
	}
	return "no trial of this cell recorded it"
}

// without keeps of the measurements only how the trials ended: the others say nothing, for a reason.
func (q Quantities) without(why string) Quantities {
	out := Quantities{values: maps.Clone(words), why: map[string]string{}, most: q.most}
	for n := range quantities {
		out.why[n] = why
	}
	if o, ok := q.values["outcome"]; ok {
		out.values["outcome"] = o
	}
	return out
}

// manyWorkers stands for any number of workers beyond what a matrix reaches.
const manyWorkers = 1e9

// maxWorkers is the function behind max_workers(limit); what it can't answer makes r inconclusive. Where only a lower
// bound is known, open is set and the answer is the bound, or with beyond set a number far above it.
func (q Quantities) maxWorkers(r *Result, beyond bool, open *bool) func(float64) (float64, error) {
	return func(limit float64) (float64, error) {
		if q.most == nil {
			return 0, fmt.Errorf("max_workers is not known: the run has no memory model")
		}
		if !(limit >= 0 && limit < math.MaxInt64) {
			return 0, fmt.Errorf("max_workers(%.3g) is not known: a limit is of 0 B to 8 EiB", limit)
		}
		n, ok := q.most(int64(limit))
		if !ok {
			return 0, fmt.Errorf("max_workers is not known: the memory model doesn't reach %s", units.FormatBytes(int64(limit)))
		}
		if n.Open && beyond {
			return cmp.Or(float64(n.Perhaps), manyWorkers), nil
		}
		answer := fmt.Sprintf("= %d", n.Most)
		if n.Open {
			answer, *open = fmt.Sprintf(">= %d", n.Most), true
		}
		if n.Perhaps > 0 {
			answer = fmt.Sprintf("= %d to %d", n.Most, n.Perhaps)
		}
		if !beyond {
			r.Measured = append(r.Measured, fmt.Sprintf("max_workers(%s) %s", units.FormatBytes(int64(limit)), answer))
		}
		return float64(n.Most), nil
	}
}

// Measure computes the quantities of a cell. What its trials didn't record is absent, with the reason.
func Measure(c CellData) Quantities {
	q := Quantities{values: maps.Clone(words), why: map[string]string{}, most: c.MaxWorkers}
	q.setPeaks(c)
	q.setFloors(c)
	q.setFindings(c)
	q.setSpeed(c)
	return q
}

func (q Quantities) set(name string, v float64, ok bool, why string) {
	if ok && !math.IsNaN(v) && !math.IsInf(v, 0) {
		q.values[name] = v
	} else {
		q.why[name] = why
	}
}

func (q Quantities) setPeaks(c CellData) {
	worst := ""
	var peak, rss, cgroup, live, held float64
	for _, t := range c.Trials {
		o := string(t.Trial.Outcome)
		if o != string(record.OK) || worst == "" {
			worst = o
		}
		// Of all trials, as the report's: a speed trial alone may do less.
		rss, cgroup = max(rss, float64(t.Trial.Peak.RSS)), max(cgroup, float64(t.Trial.Peak.Cgroup))
		if n, kind := t.Trial.Peak.Memory(); kind != record.PeakLive {
			peak = max(peak, float64(n))
		}
		live = max(live, float64(t.Trial.Peak.HeapLive))
		held = max(held, heldLive(t.Trial))
	}
	if worst != "" {
		q.values["outcome"] = worst
	}
	q.set("peak", peak, peak > 0, "neither the subject's cgroup nor its process could be read")
	q.set("peak_rss", rss, rss > 0, "the process's memory could not be read")
	q.set("peak_cgroup", cgroup, cgroup > 0, "the subject had no memory cgroup")
	q.set("peak_live", live, live > 0, "no heap profile was taken")
	q.set("held_live", held, held > 0, "no state with held transfers was recorded")
}

// heldLive is the highest live heap after two forced collections with transfers held.
func heldLive(t *record.Trial) float64 {
	var most float64
	for _, s := range t.Snapshots {
		if s.State.Held() && s.ForcedGC >= 2 {
			most = max(most, float64(s.HeapLive))
		}
	}
	return most
}

func (q Quantities) setFloors(c CellData) {
	var live, growth, routines []float64
	for _, t := range c.Trials {
		if t.Verdict == nil || len(t.Verdict.Floors) < 4 {
			continue
		}
		f := t.Verdict.Floors
		half := len(f) / 2
		first, last := float64(f[0].HeapLive), float64(f[len(f)-1].HeapLive)
		live = append(live, last)
		if first > 0 {
			growth = append(growth, (last-float64(f[half].HeapLive))/first)
		}
		count := func(fs []record.Floor) float64 {
			v := make([]float64, len(fs))
			for i := range fs {
				v[i] = float64(fs[i].Routines)
			}
			return stat.Median(v)
		}
		routines = append(routines, count(f[half:])-count(f[:half]))
	}
	const why = "fewer than 4 floors were recorded"
	q.set("floor_live", stat.Median(live), len(live) > 0, why)
	q.set("floor_growth", stat.Median(growth), len(growth) > 0, why)
	q.set("goroutines_growth", stat.Median(routines), len(routines) > 0, why)
}

// slopes says which rows of the cost table add up to which quantity.
var slopes = []struct {
	quantity string
	of       func(c record.Class, per string) bool
}{
	{"leak_bytes_per_file", func(c record.Class, per string) bool {
		return c.Headline() == record.HeadLeak && (per == "file" || per == "request")
	}},
	{"leak_bytes_per_second", func(c record.Class, per string) bool {
		return c.Headline() == record.HeadLeak && per == "second"
	}},
	{"bytes_per_worker", func(c record.Class, _ string) bool { return c == record.BufferWorker }},
	{"bytes_per_byte_in_flight", func(c record.Class, _ string) bool { return c == record.BufferFile }},
	{"bytes_per_listed_file", func(c record.Class, _ string) bool { return c == record.Metadata }},
	{"bytes_per_connection", func(c record.Class, _ string) bool { return c == record.BufferPool }},
}

// growthQuantity is the sum of all rows that grow with work or time.
const growthQuantity = "growth_bytes_per_file"

func (q Quantities) setFindings(c CellData) {
	var unexplained int64
	sums := map[string][]float64{}
	var counts []float64
	for _, t := range c.Trials {
		v := t.Verdict
		if v == nil || t.Trial.Kind == record.Speed {
			continue
		}
		q.values["headline"] = worse(q.values["headline"], v.Headline)
		if v.Headline.String() == string(record.Inconclusive) {
			continue
		}
		counts = append(counts, float64(len(v.Findings)))
		table := costs.Of(v)
		growth, open := growthOf(t, c.Beside)
		sums[growthQuantity], unexplained = append(sums[growthQuantity], growth), max(unexplained, open)
		for _, s := range slopes {
			total := 0.0
			for _, row := range table {
				if s.of(row.Class, row.Per) {
					total += row.Bytes
				}
			}
			sums[s.quantity] = append(sums[s.quantity], total)
		}
	}
	why := "no trial of this cell has a conclusive verdict"
	if len(counts) == 0 {
		why += ": " + c.Open()
	}
	q.set("findings", stat.Median(counts), len(counts) > 0, why)
	if unexplained > 0 {
		q.set(growthQuantity, 0, false, units.FormatBytes(unexplained)+" of what grew in a trial no finding explains")
	} else {
		q.set(growthQuantity, stat.Median(sums[growthQuantity]), len(sums[growthQuantity]) > 0, why)
	}
	for _, s := range slopes {
		q.set(s.quantity, stat.Median(sums[s.quantity]), len(sums[s.quantity]) > 0, why)
	}
}

// worse keeps the headline that a repeat should not hide: inconclusive, then anything but healthy.
func worse(old any, h record.Headline) string {
	rank := func(s string) int {
		switch s {
		case "":
			return 0
		case string(record.Healthy):
			return 1
		case string(record.Inconclusive):
			return 3
		}
		return 2
	}
	o, _ := old.(string)
	if rank(h.String()) > rank(o) {
		return h.String()
	}
	return o
}

func (q Quantities) setSpeed(c CellData) {
	var files, bytes []float64
	for _, t := range c.Trials {
		if w := t.Trial.Work; t.Trial.Kind == record.Speed && t.Trial.Outcome == record.OK && w.Seconds > 0 {
			files = append(files, float64(w.Files)/w.Seconds)
			bytes = append(bytes, float64(w.Bytes)/w.Seconds)
		}
	}
	const why = "no speed trial ended well"
	q.set("files_per_second", stat.Median(files), len(files) > 0, why)
	q.set("bytes_per_second", stat.Median(bytes), len(bytes) > 0, why)
}
