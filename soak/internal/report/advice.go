package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/memsoak/memsoak/profiles/record"
)

// cures say what to change, by class. The class decides it: the same bytes need another cure as a leak than as a
// buffer.
var cures = map[record.Class]string{
	record.Leak: "Release what this line keeps when its work is done: no limit and no number of workers is " +
		"large enough.",
	record.GoroutineLeak:  "Give the goroutines started here an end: a context, a closed channel, a timeout.",
	record.ConnectionLeak: "Close every response body, on the error paths too.",
	record.Metadata:       "Bound the queue, or spool it to disk: this grows with the tree, not with the workers.",
	record.BufferFile: "Stream the body instead of holding it: the largest file times the transfers in flight " +
		"must fit.",
	record.BufferWorker: "Lower workers, or the size and number of the parts that each one buffers; the limit must hold " +
		"them all.",
	record.BufferPool: "Lower the number of idle connections, or the size of their buffers.",
	record.Cache:      "Bound the cache by what the limit leaves, or accept its size: it stops growing.",
	record.Static:     "Change the code: this is there from the start and stays, whatever the settings.",
	record.GCHeadroom: "Set GOMEMLIMIT below the limit, or lower GOGC: this is garbage that waits for the collector.",
	record.GCThrash:   "Raise GOMEMLIMIT, or hold less: the collector has no room beside what is live.",
	record.Unreturned: "Set GOMEMLIMIT: spans that are free are given back only under pressure.",
	record.Stacks:     "Run fewer goroutines, or shallower ones: their stacks are what counts.",
	record.OffHeap:    "Look outside the Go heap, at mmap and cgo: heap profiles do not show it.",
	record.PageCache:  "Write less to tmpfs; the file pages that the kernel may reclaim are no danger.",
}

// serviceCures are those of a service, whose work is requests.
var serviceCures = map[record.Class]string{
	record.Metadata: "Bound the queue, and refuse or delay requests that find it full: it grows with what is accepted " +
		"and not yet done.",
	record.BufferFile: "Stream the body instead of holding it: the largest body times the requests in flight must fit.",
	record.BufferWorker: "Lower the number of requests in flight, or what each of them buffers; the limit must hold " +
		"them all.",
}

// Cure says what to change about a finding of a class, in one sentence, for a subject whose work is items of a kind.
func Cure(c record.Class, item string) string {
	if text, ok := serviceCures[c]; ok && item == record.ItemRequest {
		return text
	}
	return cures[c]
}

// todo is what to change, in one sentence: the cure of what the answer is about. Empty for a healthy run, and while
// there is no answer.
func (d *pageData) todo() string {
	w := d.worst()
	if d.Verdict == nil || w == nil || w.Verdict == nil || w.Headline == record.Healthy {
		return ""
	}
	if d.cause != nil {
		return Cure(d.cause.Class, w.item())
	}
	needs := opens(w.Verdict, d.Recorded())
	if g := w.Verdict.Growth; g != nil && g.Next != "" {
		needs = []string{g.Next + ": " + g.Command} // the one command that a recording needs; the rest asks for steering
	}
	if len(needs) == 0 {
		return ""
	}
	return "To decide it: " + strings.Join(needs[:min(len(needs), needsShown)], "; ") + "."
}

// needsShown is how many experiments the first screen names; the cell has all of them.
const needsShown = 2

// opens are the experiments that would decide what a verdict leaves open, each once. A recording counts no work, so of
// it only time is asked.
func opens(v *record.Verdict, recorded bool) []string {
	var out []string
	for _, h := range v.Hypotheses {
		if recorded && h.Per != "second" {
			continue
		}
		if h.State != record.Found && h.State != record.Excluded && h.Needs != "" && !slices.Contains(out, h.Needs) {
			out = append(out, h.Needs)
		}
	}
	return out
}

// deaths names the cells that ended before their time, by what ended them: "killed for memory: workers 50".
func (d *pageData) deaths() []string {
	names := map[record.Outcome]string{record.OOMKilled: "Killed for memory", record.Crashed: "Crashed",
		record.Timeout: "Did not end in time", record.WaveFailed: "Work failed"}
	var out []string
	for _, o := range []record.Outcome{record.OOMKilled, record.Crashed, record.Timeout, record.WaveFailed} {
		var cells []string
		for _, v := range d.Views {
			if v.Outcome != o {
				continue
			}
			cell := strings.TrimPrefix(v.Title, noAxes)
			if v.Trial != nil && v.Trial.Record != nil {
				files := v.Trial.Record.Work.Files
				if oom := v.Trial.Record.OOM; oom != nil {
					files = oom.FilesDone
				}
				cell += " after " + plural(int(files), v.item())
			}
			cells = append(cells, cell)
		}
		if len(cells) > 0 {
			shown := strings.Join(cells[:min(len(cells), deathsShown)], "; ")
			if n := len(cells) - deathsShown; n > 0 {
				shown += fmt.Sprintf("; and %d more", n)
			}
			out = append(out, names[o]+deathOf(shown)+".")
		}
	}
	return out
}

const deathsShown = 3

// deathOf joins what ended to which cells it ended; a cell without axes has no name.
func deathOf(cells string) string {
	if cells == "" || strings.HasPrefix(cells, " ") {
		return cells
	}
	return ": " + cells
}

// looked is a row of what a trial looked for: the class and unit, and what came of it.
type looked struct {
	Class record.Class
	Per   string
	State string
	Value string // the measured slope, the limit that excludes, or the missing part
}

// lookedFor are a verdict's hypotheses, found ones first, then open ones.
func lookedFor(v *record.Verdict) []looked {
	if v == nil {
		return nil
	}
	hs := slices.Clone(v.Hypotheses)
	order := map[record.HypothesisState]int{record.Found: 0, record.Excluded: 2}
	rank := func(h record.Hypothesis) int {
		if n, ok := order[h.State]; ok {
			return n
		}
		return 1
	}
	slices.SortStableFunc(hs, func(a, b record.Hypothesis) int { return cmp.Compare(rank(a), rank(b)) })
	var out []looked
	for _, h := range hs {
		l := looked{Class: h.Class, Per: h.Per, State: h.State.String()}
		switch h.State {
		case record.Found:
			l.Value = slopeText(h.Slope)
		case record.Excluded:
			l.Value = "more than " + amount(h.Class, h.Limit) + " " + per(h.Per) + " would have been seen"
		default:
			l.Value = cmp.Or(h.Needs, "the data does not say")
		}
		out = append(out, l)
	}
	return out
}

// amount is a number of a class's own unit: bytes, goroutines or connections.
func amount(c record.Class, n float64) string {
	switch c {
	case record.GoroutineLeak:
		return fmt.Sprintf("%.2g goroutines", n)
	case record.ConnectionLeak:
		return fmt.Sprintf("%.2g connections", n)
	}
	return quantity(n)
}

// seen says for a healthy run what its trials would have shown: the largest detection limit of each unit over all
// cells, so that it holds for every one of them.
func (d *pageData) seen() string {
	if d.Headline != record.Healthy {
		return ""
	}
	type key struct {
		class record.Class
		per   string
	}
	worst := map[key]float64{}
	var order []key
	for _, v := range d.Views {
		if v.Verdict == nil {
			continue
		}
		for _, h := range v.Verdict.Hypotheses {
			k := key{h.Class, h.Per}
			if h.State != record.Excluded || h.Limit <= 0 {
				continue
			}
			if _, ok := worst[k]; !ok {
				order = append(order, k)
			}
			worst[k] = max(worst[k], h.Limit)
		}
	}
	if len(order) == 0 {
		return ""
	}
	var parts []string
	for _, k := range order[:min(len(order), seenShown)] {
		parts = append(parts, amount(k.class, worst[k])+" "+per(k.per))
	}
	return "More than " + strings.Join(parts, ", ") + " would have been seen."
}

const seenShown = 4
